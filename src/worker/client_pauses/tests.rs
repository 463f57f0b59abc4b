use std::collections::BTreeMap;

use secrecy::SecretString;

use super::*;
use crate::{
    config::Needs,
    endpoint::{CredentialSettings, SecretSource},
    flow::{CallOutcome, Dispatcher},
    metrics::{Build, Metrics},
};

const NOTHING: [(&str, &str); 0] = [];

/// A flow with this many clients, from `client-0` on, whose guard allows one rejection.
fn flow_of(clients: usize, files: Option<Vec<PathBuf>>) -> (Arc<Dispatcher>, FlowState) {
    flow_by(Config::load(Needs::NONE, &[], NOTHING).unwrap(), clients, files)
}

fn flow_by(
    mut config: Config,
    clients: usize,
    files: Option<Vec<PathBuf>>,
) -> (Arc<Dispatcher>, FlowState) {
    config.flow.pause.first_rejections = 1;
    let secret = || SecretSource::Value(SecretString::from("s3cret"));
    let ids = (0..clients).map(|n| (format!("client-{n:02}"), secret()));
    let settings = CredentialSettings {
        clients: ids.collect::<BTreeMap<_, _>>(),
        ..CredentialSettings::default()
    };
    let credentials = Arc::new(Credentials::load(&settings).unwrap());
    let metrics = Metrics::new(Build { version: "1", revision: "r" }).unwrap();
    let flow = Arc::new(Dispatcher::new(&config.flow, Arc::new(metrics)));
    flow.know(clients);
    let mut pauses = ClientPauses::new(&config, credentials, true);
    pauses.files = files;
    (flow.clone(), FlowState { flow, pauses: Arc::new(pauses) })
}

async fn reject(flow: &Arc<Dispatcher>, clients: std::ops::Range<u32>) {
    for client in clients {
        let admission = flow.start(crate::domain::Lane::Bulk, ClientKey(client)).await;
        let crate::flow::Admission::Granted(permit) = admission else { panic!("{admission:?}") };
        permit.finish(CallOutcome::Rejected);
    }
}

#[tokio::test]
async fn a_client_for_which_nothing_was_revoked_is_named_with_its_cause_and_commands() {
    let (flow, state) = flow_of(2, Some(vec!["my config.toml".into()]));
    assert_eq!(state.condition(), Condition::Ready);
    assert_eq!(state.paused_clients(), PausedClients::default());
    reject(&flow, 0..1).await;
    let Condition::Waiting { reason, until, since } = state.condition() else { panic!() };
    assert_eq!(
        reason,
        "running, but client client-00 is paused: nothing was revoked since the client's secret was read"
    );
    assert!(until.unwrap() > since);
    let told = state.paused_clients();
    let [client] = told.named.as_slice() else { panic!("{told:?}") };
    assert_eq!((client.id.as_str(), told.more), ("client-00", 0));
    assert_eq!(client.endpoint, "https://auth.wip.alignet.io/revoke");
    assert_eq!(client.audience, "https://api.dev.alignet.io");
    assert_eq!(client.commands.len(), 2, "{client:?}");
}

#[tokio::test]
async fn a_worker_whose_every_client_is_paused_is_paused() {
    let (flow, state) = flow_of(1, None);
    reject(&flow, 0..1).await;
    let Condition::Waiting { reason, .. } = state.condition() else { panic!() };
    assert_eq!(reason, "paused: nothing was revoked since the client's secret was read");
    assert_eq!(state.paused_clients().named[0].id, "client-00");
}

/// Its calls name no client, with any configured secrets and ids.
#[tokio::test]
async fn the_one_client_of_a_profile_that_names_none_stands_for_every_job() {
    let google = ("REVOKER_ENDPOINT__PROFILE", "google");
    for id in [None, Some(("REVOKER_CREDENTIALS__CLIENT_ID", "shop"))] {
        let config = Config::load(Needs::NONE, &[], [Some(google), id].into_iter().flatten());
        let (flow, state) = flow_by(config.unwrap(), 1, Some(Vec::new()));
        reject(&flow, 0..1).await;
        let client = state.paused_clients().named.remove(0);
        assert_eq!((client.id.as_str(), client.commands.len()), ("(every job)", 2));
        for (_, command) in client.commands {
            assert!(command.contains("--since ") && !command.contains("client-id"), "{command}");
        }
    }
}

#[tokio::test]
async fn no_more_than_ten_are_named() {
    let (flow, state) = flow_of(14, None);
    reject(&flow, 0..13).await;
    let told = state.paused_clients();
    assert_eq!((told.named.len(), told.more), (10, 3));
    let Condition::Waiting { reason, .. } = state.condition() else { panic!() };
    assert!(reason.starts_with("running, but 13 clients are paused: nothing"), "{reason}");
    assert!(told.named.iter().all(|client| client.commands.is_empty()), "there is no queue");
}
