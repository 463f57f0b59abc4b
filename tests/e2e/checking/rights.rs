//! The rights of the worker's user: each that lacks is a fault, and asking for it leaves nothing behind.

use std::collections::BTreeSet;

use super::{check, fault_of, rows_of, told};
use crate::harness::{
    BULK, DEAD, Endpoint, INTERACTIVE, Message, Stage, stored_message::COUNTED_BY_THE_BROKER, token,
};

/// The worker's user.
const USER: &str = "worker";

/// The rights of docs/deployment.md.
const FAMILY: &str = r"^revocations(\..*)?$";
const WRITE: &str = r"^(amq\.default|revocations(\..*)?)$";

/// Every queue of the virtual host.
async fn queues(stage: &Stage) -> BTreeSet<String> {
    let listed = ["list_queues", "--silent", "-p", stage.host.name(), "name"];
    let listed = stage.host.node().ctl(&listed).await;
    listed.lines().map(str::to_owned).collect()
}

/// Gives the worker's user these rights: to configure, to write, to read.
async fn allow(stage: &Stage, rights: [&str; 3]) {
    let mut arguments = vec!["set_permissions", "-p", stage.host.name(), USER];
    arguments.extend(rights);
    stage.host.node().ctl(&arguments).await;
}

/// A user without any right, and users without one of them, on queues that exist and on queues that do not. The command
/// that each fault prints grants what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_a_fault_with_the_command_that_grants_it() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    for is_there in [false, true] {
        if is_there {
            stage.amqp.declare_family().await;
        }
        let before = queues(&stage).await;
        for (rights, lacking) in [
            (["^$"; 3], &["declare", "consume", "publish"][..]),
            (["^$", WRITE, FAMILY], &["declare"]),
            ([FAMILY, "^$", FAMILY], if is_there { &["publish"] } else { &["declare", "publish"] }),
            ([FAMILY, WRITE, "^$"], if is_there { &["consume"] } else { &["declare", "consume"] }),
        ] {
            allow(&stage, rights).await;
            let said = told(check(&stage, &endpoint)).await;
            for right in lacking {
                let fault = fault_of(&said, &format!("right to {right}"));
                assert!(fault.contains("ACCESS_REFUSED") && fault.contains(USER), "{fault}");
                assert!(fault.contains("rabbitmqctl set_permissions -p"), "{fault}");
            }
            let granted = ["declare", "consume", "publish"];
            for right in granted.into_iter().filter(|right| !lacking.contains(right)) {
                // Retry queues do not exist in either case, and their declaration needs every right.
                if right != "declare" {
                    let rows = rows_of(&said, &format!("right to {right}"));
                    assert_eq!(rows[0].0, "ok", "{rights:?}: {said}");
                }
            }
        }
        // The printed command, as a shell splits it.
        let fault = fault_of(&told(check(&stage, &endpoint)).await, "right to consume");
        let command = fault.split("needs: rabbitmqctl ").nth(1).unwrap();
        let words = std::process::Command::new("sh")
            .args(["-c", &format!("printf '%s\\n' {command}")])
            .output()
            .unwrap();
        let words = String::from_utf8(words.stdout).unwrap();
        stage.host.node().ctl(&words.lines().collect::<Vec<_>>()).await;
        assert_eq!(told(check(&stage, &endpoint)).await["ok"], true);
        assert_eq!(queues(&stage).await, before, "check left a queue behind");
    }
}

/// Messages are as they were: ready, in order, never delivered. No queue, consumer or message is new.
#[tokio::test(flavor = "multi_thread")]
async fn check_leaves_nothing_behind_and_touches_no_message() {
    const JOBS: usize = 3;
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    assert_eq!(told(check(&stage, &endpoint)).await["ok"], true);
    assert!(queues(&stage).await.is_empty(), "check declared a queue");

    stage.amqp.declare_family().await;
    let family = queues(&stage).await;
    for queue in [INTERACTIVE, BULK, DEAD] {
        stage.amqp.publish_all(queue, (0..JOBS).map(|n| Message::job(&token(n)))).await;
    }
    let said = told(check(&stage, &endpoint)).await;
    assert_eq!(said["ok"], true, "{said}");
    for right in ["declare", "consume", "publish"] {
        let rows = rows_of(&said, &format!("right to {right}"));
        assert_eq!(rows[0].0, "ok", "{said}");
    }
    assert_eq!(queues(&stage).await, family);
    for queue in [INTERACTIVE, BULK, DEAD] {
        assert_eq!(
            rows_of(&said, &format!("queue {queue}"))[0].1,
            format!("{JOBS} messages ready")
        );
        let depth = stage.amqp.depth(queue).await.unwrap();
        assert_eq!((depth.ready, depth.consumers), (u32::try_from(JOBS).unwrap(), 0), "{queue}");
        for (n, message) in stage.amqp.take_all(queue).await.iter().enumerate() {
            assert_eq!(message.token(), token(n), "{queue} is in another order");
            assert!(!message.redelivered, "a message of {queue} was delivered");
            let counted = COUNTED_BY_THE_BROKER.map(|name| message.header(name));
            let zero = |header: Option<&lapin::types::AMQPValue>| {
                header.is_none_or(|count| format!("{count:?}").contains("(0)"))
            };
            assert!(counted.into_iter().all(zero), "{queue}: {counted:?}");
        }
    }
    assert_eq!(endpoint.count(), 0, "a call was made");
}

/// A queue of somebody else can be used as it is, and the fault says how.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_names_broker_declare_as_a_way_out() {
    let (stage, endpoint) = (Stage::new().await, Endpoint::willing().await);
    stage.amqp.declare(INTERACTIVE, lapin::types::FieldTable::default()).await;
    stage.amqp.declare(DEAD, crate::harness::amqp::quorum()).await;
    stage.amqp.declare(BULK, crate::harness::amqp::dead_lettering(DEAD)).await;
    let said = told(check(&stage, &endpoint)).await;
    let fault = fault_of(&said, &format!("queue {INTERACTIVE}"));
    assert!(fault.contains("broker.declare = false"), "{fault}");
    for lane in ["interactive", "bulk"] {
        let target = if lane == "bulk" { BULK } else { INTERACTIVE };
        let retry = format!("revocations.retry.{lane}.1s");
        stage.amqp.declare(&retry, crate::harness::amqp::dead_lettering(target)).await;
    }
    let said = told(check(&stage, &endpoint).set("broker.declare", "false")).await;
    assert_eq!(said["ok"], true, "{said}");
}
