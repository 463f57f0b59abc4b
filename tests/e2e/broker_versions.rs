//! What differs from one RabbitMQ to the next and matters here: docs/rabbitmq.md tells it, and these tests hold it
//! on whichever version they run.

mod limits;
mod nodes;
mod rights;
mod upgrading;
