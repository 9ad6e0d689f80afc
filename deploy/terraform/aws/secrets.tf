# Values are made while Terraform runs and go to Secrets Manager alone: neither a plan nor the state holds them.
ephemeral "random_password" "session_key" {
  length  = 64
  special = false
}

ephemeral "random_password" "redis" {
  length  = 64
  special = false
}

resource "aws_secretsmanager_secret" "session_key" {
  name_prefix = "${var.name}-session-key-"
  description = "SESSION_ENCRYPTION_KEY of ${var.name}; a change signs everybody out."
}

resource "aws_secretsmanager_secret_version" "session_key" {
  secret_id                = aws_secretsmanager_secret.session_key.id
  secret_string_wo         = ephemeral.random_password.session_key.result
  secret_string_wo_version = 1
}

resource "aws_secretsmanager_secret" "redis" {
  name_prefix = "${var.name}-redis-"
  description = "REDIS_PASSWORD of ${var.name}."
}

resource "aws_secretsmanager_secret_version" "redis" {
  secret_id                = aws_secretsmanager_secret.redis.id
  secret_string_wo         = ephemeral.random_password.redis.result
  secret_string_wo_version = var.redis_password_version
}

# Reads the stored value back, because each run makes another one that is not stored.
ephemeral "aws_secretsmanager_secret_version" "redis" {
  secret_id  = aws_secretsmanager_secret.redis.id
  version_id = aws_secretsmanager_secret_version.redis.version_id
}

locals {
  # Settings whose values are in Secrets Manager; the instances read them when they start.
  secrets = {
    OIDC_CLIENT_SECRET     = var.oidc_client_secret_arn
    REDIS_PASSWORD         = aws_secretsmanager_secret.redis.arn
    SESSION_ENCRYPTION_KEY = aws_secretsmanager_secret.session_key.arn
  }
}
