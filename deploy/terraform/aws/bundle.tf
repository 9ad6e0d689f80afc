data "aws_subnet" "instances" {
  for_each = toset(var.instance_subnet_ids)
  id       = each.value
}

data "aws_subnet" "balancer" {
  for_each = toset(var.balancer_subnet_ids)
  id       = each.value
}

# Files that each instance runs with Docker Compose. None of them holds a secret.
data "archive_file" "bundle" {
  type        = "zip"
  output_path = "${path.root}/.terraform/${var.name}-bundle.zip"

  source {
    filename = "docker-compose.yml"
    content = templatefile("${path.module}/bundle/docker-compose.yml.tftpl", {
      vestibule_image = var.vestibule_image
      traefik_port    = local.traefik_port
    })
  }

  source {
    filename = "traefik.yaml"
    content = templatefile("${path.module}/bundle/traefik.yaml.tftpl", {
      balancer_networks = jsonencode(sort([for subnet in data.aws_subnet.balancer : subnet.cidr_block]))
    })
  }

  source {
    filename = "apps.yaml"
    content = templatefile("${path.module}/bundle/apps.yaml.tftpl", {
      host_rule   = join(" || ", [for host in var.protected_hosts : "Host(`${host}`)"])
      app_url     = var.app_url
      health_path = local.health_path
    })
  }
}

resource "aws_s3_bucket" "bundle" {
  bucket_prefix = "${var.name}-bundle-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "bundle" {
  bucket                  = aws_s3_bucket.bundle.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "bundle" {
  bucket = aws_s3_bucket.bundle.id
  key    = "${data.archive_file.bundle.output_sha256}.zip"
  source = data.archive_file.bundle.output_path

  lifecycle {
    create_before_destroy = true
  }
}
