// Asks for refresh tokens to be revoked: one token per line on standard input. Needs `npm install amqplib`.
//
//     echo "a-refresh-token" | node producer.mjs
//
// Start a worker once before this: it declares the queues. Until then each job comes back as unroutable.
//
// REVOKER_QUEUE: `revocations` for logouts, which is the default, or `revocations.bulk` for sweeps.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import amqp from "amqplib";

const url = process.env.AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672/%2f";
const queue = process.env.REVOKER_QUEUE ?? "revocations";

const connection = await amqp.connect(url);
// Without confirms a publish that the broker never got looks like one that it did.
const channel = await connection.createConfirmChannel();

// A returned message is confirmed as well, right after: the queue does not exist, so the worker, which declares it,
// has never run here. Such a token is NOT going to be revoked: send it again.
let returned = 0;
channel.on("return", () => returned++);

let sent = 0;
// Not an argument: every process list shows those. The lines are not trimmed, a token may begin with a space.
for await (const line of createInterface({ input: process.stdin })) {
  channel.publish("", queue, Buffer.from(JSON.stringify({ refresh_token: line })), {
    contentType: "application/json",
    persistent: true,
    mandatory: true,
    messageId: randomUUID(),
    timestamp: Math.floor(Date.now() / 1000),
  });
  // Waiting now and then bounds what is unconfirmed, in memory here and on the way.
  if (++sent % 1000 === 0) await channel.waitForConfirms();
}
// Rejects if the broker refused any of them.
await channel.waitForConfirms();
await connection.close();

console.log(`${sent - returned} sent and confirmed, ${returned} returned: no such queue`);
process.exitCode = returned === 0 ? 0 : 1;
