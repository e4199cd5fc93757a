"""RabbitMQ: a connection that comes back, requests and answers, and the messages of the wire."""
