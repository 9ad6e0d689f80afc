locals {
  # Port of Traefik on each instance, behind the balancer.
  traefik_port = 80
  # Answers 200 to every Host, and so to the balancer, which asks by the address of the instance.
  health_path = "/healthz"

  own_settings = {
    PROTECTED_HOSTS  = join(",", var.protected_hosts)
    OIDC_ISSUER_URL  = var.oidc_issuer_url
    OIDC_CLIENT_ID   = var.oidc_client_id
    REDIS_ENABLED    = "true"
    REDIS_CACHE_MODE = "hybrid"
    REDIS_CLUSTER    = tostring(var.redis_cluster)
    REDIS_ADDRESS    = "${local.redis_endpoint}:${local.redis_port},ssl=True,abortConnect=False"
  }

  options = {
    "aws:ec2:vpc" = {
      VPCId      = var.vpc_id
      Subnets    = join(",", var.instance_subnet_ids)
      ELBSubnets = join(",", var.balancer_subnet_ids)
      ELBScheme  = var.internal ? "internal" : "public"
    }
    "aws:autoscaling:asg" = {
      MinSize              = tostring(var.min_instances)
      MaxSize              = tostring(var.max_instances)
      "Availability Zones" = "Any 2"
    }
    "aws:autoscaling:trigger" = {
      MeasureName    = "CPUUtilization"
      Statistic      = "Average"
      Unit           = "Percent"
      LowerThreshold = "20"
      UpperThreshold = "60"
    }
    "aws:autoscaling:launchconfiguration" = {
      IamInstanceProfile             = aws_iam_instance_profile.instances.name
      SecurityGroups                 = aws_security_group.instances.id
      DisableDefaultEC2SecurityGroup = "true"
      DisableIMDSv1                  = "true"
    }
    "aws:autoscaling:updatepolicy:rollingupdate" = {
      RollingUpdateEnabled = "true"
      RollingUpdateType    = "Health"
    }
    "aws:ec2:instances" = {
      InstanceTypes = var.instance_type
    }
    "aws:elasticbeanstalk:command" = {
      DeploymentPolicy = "Rolling"
      BatchSizeType    = "Fixed"
      BatchSize        = "1"
    }
    "aws:elasticbeanstalk:environment" = {
      LoadBalancerType = "application"
      ServiceRole      = aws_iam_role.service.name
    }
    # Traefik is the proxy of the instance.
    "aws:elasticbeanstalk:environment:proxy" = {
      ProxyServer = "none"
    }
    "aws:elasticbeanstalk:environment:process:default" = {
      Port                    = tostring(local.traefik_port)
      Protocol                = "HTTP"
      HealthCheckPath         = local.health_path
      MatcherHTTPCode         = "200"
      HealthCheckInterval     = "10"
      HealthCheckTimeout      = "5"
      HealthyThresholdCount   = "2"
      UnhealthyThresholdCount = "2"
      DeregistrationDelay     = "30"
      # Any instance answers any request, because the sessions are in Redis.
      StickinessEnabled = "false"
    }
    "aws:elbv2:loadbalancer" = {
      SecurityGroups       = aws_security_group.balancer.id
      ManagedSecurityGroup = aws_security_group.balancer.id
    }
    "aws:elbv2:listener:default" = {
      ListenerEnabled = "false"
    }
    "aws:elbv2:listener:443" = {
      ListenerEnabled    = "true"
      Protocol           = "HTTPS"
      SSLCertificateArns = var.certificate_arn
      SSLPolicy          = "ELBSecurityPolicy-TLS13-1-2-2021-06"
    }
    "aws:elasticbeanstalk:healthreporting:system" = {
      SystemType = "enhanced"
    }
    "aws:elasticbeanstalk:managedactions" = {
      ManagedActionsEnabled        = "true"
      PreferredStartTime           = "Sun:04:00"
      ServiceRoleForManagedUpdates = aws_iam_role.service.name
    }
    "aws:elasticbeanstalk:managedactions:platformupdate" = {
      UpdateLevel = "minor"
    }
    "aws:elasticbeanstalk:application:environment"        = merge(var.settings, local.own_settings)
    "aws:elasticbeanstalk:application:environmentsecrets" = local.secrets
  }

  option_list = flatten([
    for namespace, values in local.options : [
      for name, value in values : { namespace = namespace, name = name, value = value }
    ]
  ])
}

data "aws_elastic_beanstalk_solution_stack" "docker" {
  most_recent = true
  name_regex  = "^64bit Amazon Linux 2023 (.*) running Docker$"
}

resource "aws_elastic_beanstalk_application" "vestibule" {
  name        = var.name
  description = "Traefik with Vestibule"
}

resource "aws_elastic_beanstalk_application_version" "vestibule" {
  name        = substr(data.archive_file.bundle.output_sha256, 0, 16)
  application = aws_elastic_beanstalk_application.vestibule.name
  bucket      = aws_s3_bucket.bundle.id
  key         = aws_s3_object.bundle.key

  # A version that is deployed cannot be deleted.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_elastic_beanstalk_environment" "vestibule" {
  name                = var.name
  application         = aws_elastic_beanstalk_application.vestibule.name
  version_label       = aws_elastic_beanstalk_application_version.vestibule.name
  solution_stack_name = data.aws_elastic_beanstalk_solution_stack.docker.name
  tier                = "WebServer"

  dynamic "setting" {
    for_each = local.option_list

    content {
      namespace = setting.value.namespace
      name      = setting.value.name
      value     = setting.value.value
    }
  }

  lifecycle {
    # Managed updates change the platform.
    ignore_changes = [solution_stack_name]

    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.instances : subnet.availability_zone])) >= 2
      error_message = "instance_subnet_ids must be in two availability zones at least."
    }

    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.balancer : subnet.availability_zone])) >= 2
      error_message = "balancer_subnet_ids must be in two availability zones at least."
    }
  }

  # Without these the instances start, but can read no secret.
  depends_on = [
    aws_iam_role_policy.read_secrets,
    aws_iam_role_policy_attachment.instances,
    aws_iam_role_policy_attachment.service,
    aws_secretsmanager_secret_version.session_key,
    aws_secretsmanager_secret_version.redis,
  ]
}
