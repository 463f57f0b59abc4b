//! The differences between RabbitMQ versions that matter here. docs/rabbitmq.md lists them, and these tests check them
//! on the version that they run on.

mod limits;
mod nodes;
mod rights;
mod upgrading;
