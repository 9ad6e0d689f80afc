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
  value       = [for host in var.protected_hosts : "https://${host}${lookup(var.settings, "BASE_PATH", "/oauth2")}/callback"]
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
