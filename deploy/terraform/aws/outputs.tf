locals {
  # PUBLIC_URL names the one address of the sign-in pages; without it each host has its own.
  sign_in_origins = contains(keys(var.settings), "PUBLIC_URL") ? [trimsuffix(var.settings["PUBLIC_URL"], "/")] : [for host in var.protected_hosts : "https://${host}"]
}

output "balancer_name" {
  description = "Name for the CNAME records of the protected hosts."
  value       = aws_elastic_beanstalk_environment.vestibule.endpoint_url
}

output "app_urls" {
  description = "Addresses of the app."
  value       = [for host in var.protected_hosts : "https://${host}/"]
}

output "redirect_uris" {
  description = "Redirect URIs to register at the provider."
  value       = [for origin in local.sign_in_origins : "${origin}${lookup(var.settings, "BASE_PATH", "/oauth2")}/callback"]
}

output "environment_name" {
  description = "Elastic Beanstalk environment, for the aws command."
  value       = aws_elastic_beanstalk_environment.vestibule.name
}

output "redis_address" {
  description = "Host and port of Redis, inside the VPC."
  value       = "${local.redis_endpoint}:${local.redis_port}"
}

output "redis_password_arn" {
  description = "Secret with the password of Redis."
  value       = aws_secretsmanager_secret.redis.arn
}
