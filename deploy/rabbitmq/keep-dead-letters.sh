#!/bin/sh
# Lets quorum queues of dead letters be looked at as often as one likes. To look is to take letters
# out and put them back, each time counts as a delivery, and after 20 the broker would drop them
# (RabbitMQ 4; before it, where a policy says so). Above other policies, as a queue has one only.
#   deploy/rabbitmq/keep-dead-letters.sh [VHOST]     where rabbitmqctl reaches the server
set -eu
exec rabbitmqctl --quiet set_policy --vhost "${1:-/}" --priority 100 --apply-to queues \
    caseframe-dead-letters '\.dead$' '{"delivery-limit": 1000000000}'
