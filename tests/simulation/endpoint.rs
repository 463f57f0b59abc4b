//! The endpoint: it replies by its mode and the state of its tokens, and every call is checked.

use std::sync::Arc;

use revoker::{
    domain::{ClientKey, Failure, Job, Rejection, ResultLabel, TraceContext, Verdict},
    ports::{Endpoint, UnknownClient},
};
use tokio::time::sleep;

use crate::{
    life::Life,
    mutants::Mutant,
    plan::{self, Reply, Says},
    witness::{Number, number_of},
    world::Condition,
};

/// The endpoint, as one worker calls it.
pub struct SimEndpoint(pub Arc<Life>);

/// The payload of an intended panic.
struct OnPurpose;

impl SimEndpoint {
    /// The client that the flow of a mutant uses instead.
    fn mistaken(&self, client: ClientKey) -> ClientKey {
        match self.0.world.mutant {
            Some(Mutant::TakesAllClientsForOne) => ClientKey::default(),
            Some(Mutant::LetsOneClientHoldAllPlaces) if client == ClientKey(1) => ClientKey(0),
            Some(Mutant::ProbesTheSameClientAgain) if !plan::is_unlucky(client) => {
                ClientKey(u32::from(self.0.world.dice.one_in(2)))
            }
            _ => client,
        }
    }

    fn account(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        let client = job.client_id.as_deref().ok_or(UnknownClient::NotNamed)?;
        let withdrawn = self.0.world.has(Condition::Withdrawn);
        plan::client(client, withdrawn).ok_or(UnknownClient::NoSecret)
    }

    /// Makes the job's call. The worker may die meanwhile, unnoticed by the endpoint.
    async fn call(&self, number: Number, reply: Reply) -> Verdict {
        let Life { world, .. } = &*self.0;
        let mut call = Call { life: &self.0, number, reply: Some(reply) };
        world.dice.dawdle().await;
        sleep(reply.after / 2).await;
        if world.bad_luck(30) {
            // The most critical moment: an answer is in transit.
            self.0.severed.notify_one();
        }
        sleep(reply.after / 2).await;
        if self.0.is_dead() {
            drop(call);
            return std::future::pending().await;
        }
        call.reply = None;
        let effect = reply.takes_effect && world.revokes(world.witness.token_of(number));
        match reply.says {
            Says::Truth if effect => {
                world.witness.called(number, Some(&Verdict::Revoked));
                Verdict::Revoked
            }
            Says::Truth | Says::No => {
                world.witness.called(number, Some(&rejected()));
                rejected()
            }
            Says::Failure(failure) => {
                world.witness.called(number, Some(&Verdict::Transient(failure)));
                self.misread(failure)
            }
            Says::Panic => {
                world.witness.called(number, None);
                // Without the panic hook, because an intended panic is no log line.
                std::panic::resume_unwind(Box::new(OnPurpose))
            }
        }
    }

    /// The verdict that a mutant derives from a failure.
    fn misread(&self, failure: Failure) -> Verdict {
        let unrecognized = failure.label == ResultLabel::Unrecognized;
        match self.0.world.mutant {
            Some(Mutant::TakesAFailureForSuccess) if unrecognized => Verdict::Revoked,
            Some(Mutant::TakesAFailureForRejection) if unrecognized => rejected(),
            Some(Mutant::IgnoresRetryAfter) => {
                Verdict::Transient(Failure { retry_after: None, ..failure })
            }
            _ => Verdict::Transient(failure),
        }
    }
}

impl Endpoint for SimEndpoint {
    fn admit(&self, job: &Job) -> Result<ClientKey, UnknownClient> {
        let client = self.account(job)?;
        Ok(self.mistaken(client))
    }

    async fn revoke(
        &self,
        job: &Job,
        trace: Option<&TraceContext>,
    ) -> Result<Verdict, UnknownClient> {
        let Life { world, number: life, .. } = &*self.0;
        if self.0.is_dead() {
            return std::future::pending().await;
        }
        let Some(number) = trace.and_then(number_of) else {
            world.witness.violated("a call came without its job's trace".to_owned());
            return Err(UnknownClient::NotNamed);
        };
        let client = match self.account(job) {
            Ok(client) => client,
            Err(unknown) => {
                world.witness.refused(number);
                return Err(unknown);
            }
        };
        let others = world.witness.calling(*life, number, &self.0.status());
        let elapsed = world.clock.elapsed();
        let bad_luck = world.plan.bad_luck.filter(|_| elapsed < world.plan.calm_after);
        let reply = match bad_luck {
            Some(failure) if plan::is_unlucky(client) => plan::fail(failure, &world.dice),
            _ => world.plan.mode(elapsed).reply(others, &world.dice),
        };
        Ok(self.call(number, reply).await)
    }
}

/// A call in progress. If it is dropped before its end, its answer is lost.
struct Call<'a> {
    life: &'a Life,
    number: Number,
    reply: Option<Reply>,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let world = &self.life.world;
        if let Some(reply) = self.reply.take() {
            if reply.takes_effect && world.dice.one_in(2) {
                world.revokes(world.witness.token_of(self.number));
            }
            world.witness.hung_up(self.number);
        }
    }
}

fn rejected() -> Verdict {
    Verdict::Rejected(Rejection { code: "01".to_owned(), message: None, http_status: 200 })
}
