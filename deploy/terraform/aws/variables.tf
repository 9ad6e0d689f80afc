variable "region" {
  description = "Region of everything, such as us-east-2."
  type        = string
}

variable "name" {
  description = "Name of the installation, which all resources begin with."
  type        = string
  default     = "vestibule"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,26}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "The name has 4 to 28 lower-case letters, digits and single hyphens, and begins with a letter."
  }
}

variable "vpc_id" {
  description = "VPC of the instances and of Redis."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "The id of a VPC begins with vpc-."
  }
}

variable "instance_subnet_ids" {
  description = "Private subnets of the instances and of Redis, in at least two availability zones, with a way to the provider (NAT)."
  type        = list(string)

  validation {
    condition     = length(distinct(var.instance_subnet_ids)) >= 2 && alltrue([for id in var.instance_subnet_ids : startswith(id, "subnet-")])
    error_message = "Name at least two subnets; their ids begin with subnet-."
  }
}

variable "balancer_subnet_ids" {
  description = "Subnets of the load balancer, public unless it is internal, in at least two availability zones; no others, because Traefik believes the forwarded headers of their addresses."
  type        = list(string)

  validation {
    condition     = length(distinct(var.balancer_subnet_ids)) >= 2 && alltrue([for id in var.balancer_subnet_ids : startswith(id, "subnet-")])
    error_message = "Name at least two subnets; their ids begin with subnet-."
  }

  validation {
    condition     = length(setintersection(var.balancer_subnet_ids, var.instance_subnet_ids)) == 0
    error_message = "Subnets of the balancer must not be those of the instances, whose forwarded headers Traefik must not believe."
  }
}

variable "internal" {
  description = "Whether the balancer is reached from inside the VPC alone; its subnets may then be private."
  type        = bool
  default     = false
}

variable "client_networks" {
  description = "IPv4 networks that may open the pages."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for network in var.client_networks : can(cidrnetmask(network))])
    error_message = "Write IPv4 networks such as 203.0.113.0/24."
  }
}

variable "certificate_arn" {
  description = "Certificate of AWS Certificate Manager for all protected hosts."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:", var.certificate_arn))
    error_message = "The ARN of a certificate begins with arn:aws:acm:."
  }
}

variable "protected_hosts" {
  description = "Hosts of the app, as browsers name them: app.example.com. Their DNS leads to the balancer."
  type        = list(string)

  validation {
    condition     = length(var.protected_hosts) > 0 && alltrue([for host in var.protected_hosts : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", host))])
    error_message = "Name at least one host, in lower case and without scheme, port, path and wild card."
  }
}

variable "app_url" {
  description = "Address of the app as Traefik reaches it inside the VPC. The default is a page that shows which headers an app gets."
  type        = string
  default     = "http://whoami:8080"

  validation {
    condition     = can(regex("^https?://[^/]+$", var.app_url))
    error_message = "Write scheme, host and port without a path: http://app.internal:8080."
  }
}

variable "oidc_issuer_url" {
  description = "Issuer URL of the provider, exactly as the provider writes it."
  type        = string

  validation {
    condition     = startswith(var.oidc_issuer_url, "https://")
    error_message = "The issuer begins with https://."
  }
}

variable "oidc_client_id" {
  description = "Client id at the provider."
  type        = string
}

variable "oidc_client_secret_arn" {
  description = "Secret of Secrets Manager that holds the client secret as plain text. It is made outside, so that its value is never in a plan or in the state."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:secretsmanager:[^:]+:[0-9]+:secret:[^:]+$", var.oidc_client_secret_arn))
    error_message = "Name the ARN of the secret without a version: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-abcdef."
  }
}

variable "settings" {
  description = "Further settings of Vestibule (docs/configuration.md), who may enter among them: { ALLOWED_EMAIL_DOMAINS = \"example.com\" }. The state and the console show them."
  type        = map(string)

  validation {
    condition     = anytrue([for name in ["ALLOWED_EMAILS", "ALLOWED_EMAIL_DOMAINS", "ALLOWED_GROUPS", "ALLOW_ANY_USER"] : contains(keys(var.settings), name)])
    error_message = "Say who may enter: ALLOWED_EMAILS, ALLOWED_EMAIL_DOMAINS, ALLOWED_GROUPS or ALLOW_ANY_USER."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), ["ADMIN_TOKEN", "BROADCAST_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "OIDC_CLIENT_PRIVATE_KEY", "OIDC_CLIENT_SECRET", "REDIS_ADDRESS", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD", "REDIS_URL", "SESSION_ENCRYPTION_KEY"])) == 0
    error_message = "Secrets must not be here, where the state shows them: add them to the local value secrets with the ARN of a secret."
  }
}

variable "vestibule_image" {
  description = "Image of Vestibule in a registry that the instances can read, such as ECR."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+(:[0-9]+)?/[a-z0-9._/-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$", var.vestibule_image))
    error_message = "Write registry, name and tag or digest: 123456789012.dkr.ecr.us-east-2.amazonaws.com/vestibule:0.1.0."
  }
}

variable "instance_type" {
  description = "Type of the instances, each with Traefik and Vestibule."
  type        = string
  default     = "t3.small"
}

variable "min_instances" {
  description = "Fewest instances, spread over the availability zones."
  type        = number
  default     = 2

  validation {
    condition     = var.min_instances >= 2
    error_message = "Two instances at least, so that the loss of a zone is no outage."
  }
}

variable "max_instances" {
  description = "Most instances."
  type        = number
  default     = 4

  validation {
    condition     = var.max_instances >= var.min_instances
    error_message = "max_instances is at least min_instances."
  }
}

variable "redis_engine" {
  description = "redis or valkey."
  type        = string
  default     = "redis"

  validation {
    condition     = contains(["redis", "valkey"], var.redis_engine)
    error_message = "The engine is redis or valkey."
  }
}

variable "redis_engine_version" {
  description = "Version of the engine; Redis 7.0 or later, or Valkey 7.2 or later."
  type        = string
  default     = "7.1"

  validation {
    condition     = can(regex("^([7-9]|[1-9][0-9])\\.[0-9]+$", var.redis_engine_version))
    error_message = "Write major and minor version, 7.0 or later."
  }
}

variable "redis_node_type" {
  description = "Type of the Redis nodes. A session with its tokens takes about 2 KiB."
  type        = string
  default     = "cache.t4g.small"
}

variable "redis_cluster" {
  description = "Cluster mode: true shards, with one shard by default; false is one primary with replicas. A change replaces Redis and signs everybody out."
  type        = bool
  default     = true
}

variable "redis_shards" {
  description = "Shards in cluster mode."
  type        = number
  default     = 1

  validation {
    condition     = var.redis_shards >= 1 && (var.redis_cluster || var.redis_shards == 1)
    error_message = "One shard or more; without cluster mode there is one."
  }
}

variable "redis_replicas_per_shard" {
  description = "Replicas of each primary; at least one, which takes over when the primary fails."
  type        = number
  default     = 1

  validation {
    condition     = var.redis_replicas_per_shard >= 1 && var.redis_replicas_per_shard <= 5
    error_message = "One to five replicas."
  }
}

variable "redis_password_version" {
  description = "Count this up to make another password of Redis (docs/aws.md)."
  type        = number
  default     = 1
}
