# Clients reach the balancer, the balancer reaches Traefik, the instances reach Redis. Port 4181, which may tell an app who
# somebody is, is published by no instance and opened by no rule: only the Traefik of the same instance reaches it.
resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "instances" {
  name_prefix = "${var.name}-instances-"
  description = "Traefik and Vestibule of ${var.name}"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "redis" {
  name_prefix = "${var.name}-redis-"
  description = "Redis of ${var.name}"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "balancer_https" {
  for_each = toset(var.client_networks)

  security_group_id = aws_security_group.balancer.id
  description       = "Browsers"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_traefik" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "Traefik"
  referenced_security_group_id = aws_security_group.instances.id
  ip_protocol                  = "tcp"
  from_port                    = local.traefik_port
  to_port                      = local.traefik_port
}

resource "aws_vpc_security_group_ingress_rule" "traefik_from_balancer" {
  security_group_id            = aws_security_group.instances.id
  description                  = "Load balancer"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.traefik_port
  to_port                      = local.traefik_port
}

# Provider, registry, Elastic Beanstalk and your app have no addresses that are known here.
resource "aws_vpc_security_group_egress_rule" "instances_outwards" {
  security_group_id = aws_security_group.instances.id
  description       = "Provider, registry, AWS, Redis, app"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "redis_from_instances" {
  security_group_id            = aws_security_group.redis.id
  description                  = "Vestibule"
  referenced_security_group_id = aws_security_group.instances.id
  ip_protocol                  = "tcp"
  from_port                    = local.redis_port
  to_port                      = local.redis_port
}
