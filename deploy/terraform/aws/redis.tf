locals {
  redis_port = 6379
  # Major version for Redis and Valkey alike: redis7, valkey8.
  redis_family   = "${var.redis_engine}${split(".", var.redis_engine_version)[0]}"
  redis_endpoint = var.redis_cluster ? aws_elasticache_replication_group.redis.configuration_endpoint_address : aws_elasticache_replication_group.redis.primary_endpoint_address
}

# The default groups evict keys, and with them live sessions, tombstones and replay marks.
resource "aws_elasticache_parameter_group" "redis" {
  name        = "${var.name}-${local.redis_family}-${var.redis_cluster ? "cluster" : "single"}"
  family      = local.redis_family
  description = "Sessions of ${var.name}"

  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }

  parameter {
    name  = "cluster-enabled"
    value = var.redis_cluster ? "yes" : "no"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elasticache_subnet_group" "redis" {
  name       = "${var.name}-redis"
  subnet_ids = var.instance_subnet_ids
}

resource "aws_elasticache_replication_group" "redis" {
  replication_group_id = "${var.name}-redis"
  description          = "Sessions of ${var.name}"
  engine               = var.redis_engine
  engine_version       = var.redis_engine_version
  node_type            = var.redis_node_type
  port                 = local.redis_port
  parameter_group_name = aws_elasticache_parameter_group.redis.name
  subnet_group_name    = aws_elasticache_subnet_group.redis.name
  security_group_ids   = [aws_security_group.redis.id]

  num_node_groups            = var.redis_shards
  replicas_per_node_group    = var.redis_replicas_per_shard
  automatic_failover_enabled = true
  multi_az_enabled           = true

  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  auth_token_wo              = ephemeral.aws_secretsmanager_secret_version.redis.secret_string
  auth_token_wo_version      = var.redis_password_version
  # Keeps the password before valid until the instances have read the new one.
  auth_token_update_strategy = "ROTATE"

  # Lost sessions cost a sign-in that most people do not notice, and a restored backup would revive ended ones.
  snapshot_retention_limit   = 0
  auto_minor_version_upgrade = true
  maintenance_window         = "sun:03:00-sun:04:00"
  # A password that waits for the maintenance window would be in Secrets Manager, but not yet in Redis.
  apply_immediately = true
}
