"""Asks for refresh tokens to be revoked: one token per line on standard input. Needs `pip install pika`.

    echo "a-refresh-token" | python producer.py

Start a worker once before this: it declares the queues. Until then each job comes back as unroutable.

REVOKER_QUEUE: `revocations` for logouts, which is the default, or `revocations.bulk` for sweeps.
"""

import json
import os
import sys
import time
import uuid

import pika

url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
queue = os.environ.get("REVOKER_QUEUE", "revocations")

connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
# Without confirms a publish that the broker never got looks like one that it did.
channel.confirm_delivery()

sent = 0
# Not an argument: every process list shows those. Only the line's end goes, a token may begin with a space.
for line in sys.stdin:
    job = {"refresh_token": line.rstrip("\r\n")}
    # Raises NackError if the broker refuses, UnroutableError if the queue does not exist yet: then the worker, which
    # declares it, has never run here. In either case the token is NOT going to be revoked: send it again.
    channel.basic_publish(
        exchange="",
        routing_key=queue,
        body=json.dumps(job),
        properties=pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            message_id=str(uuid.uuid4()),
            timestamp=int(time.time()),
        ),
        mandatory=True,
    )
    sent += 1

connection.close()
print(f"{sent} sent and confirmed")
