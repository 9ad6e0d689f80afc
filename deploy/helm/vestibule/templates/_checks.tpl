{{- /* Each of these returns a JSON array of what is wrong, with the remedy. */ -}}

{{- define "vestibule.faultsOfRedis" -}}
{{- $faults := list -}}
{{- $redis := .Values.redis -}}
{{- $given := include "vestibule.given" . | fromJson -}}
{{- $isMemory := or (eq $redis.kind "memory") (eq (lower (toString $given.REDIS_CACHE_MODE)) "memory") -}}
{{- if and $isMemory (or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1)) -}}
  {{- $faults = append $faults "memory mode keeps sessions in one pod, so that others would not know them: set replicaCount to 1 and autoscaling.enabled to false, or use a Redis (redis.kind)" -}}
{{- end -}}
{{- if and (eq $redis.kind "memory") (hasKey $given "REDIS_CACHE_MODE") -}}
  {{- $faults = append $faults "REDIS_CACHE_MODE is given, but redis.kind is memory: remove one of them" -}}
{{- else if and (ne $redis.kind "memory") $isMemory -}}
  {{- $faults = append $faults "REDIS_CACHE_MODE is memory: set redis.kind to memory instead" -}}
{{- end -}}
{{- if and (eq $redis.kind "sentinel") (or (not $redis.addresses) (not $redis.master)) -}}
  {{- $faults = append $faults "redis.kind is sentinel: name the Sentinels in redis.addresses and the primary in redis.master, such as mymaster" -}}
{{- end -}}
{{- if and $redis.addresses (not (has $redis.kind (list "sentinel" "cluster"))) -}}
  {{- $faults = append $faults (printf "redis.addresses is given, but redis.kind is %s: addresses are for sentinel and cluster; for url put the address into the key redis-url of the Secret" $redis.kind) -}}
{{- end -}}
{{- if and (ne $redis.kind "sentinel") (or $redis.master $redis.sentinelPassword) -}}
  {{- $faults = append $faults (printf "redis.master and redis.sentinelPassword are for Sentinels, but redis.kind is %s: set it to sentinel" $redis.kind) -}}
{{- end -}}
{{- range $redis.addresses -}}
  {{- if not (regexMatch "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$" .) -}}
    {{- $faults = append $faults (printf "redis.addresses has %s: write host:port, with passwords in the Secret" (regexReplaceAll ".*@" . "…@")) -}}
  {{- end -}}
{{- end -}}
{{- if and $redis.tls (eq $redis.kind "bundled") -}}
  {{- $faults = append $faults "redis.tls is true, but the bundled Redis speaks no TLS: use a Redis that is operated elsewhere" -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}

{{- define "vestibule.faultsOfTraefik" -}}
{{- $faults := list -}}
{{- $settings := .Values.settings | default dict -}}
{{- $policies := (.Values.config | default dict).policies | default dict -}}
{{- $facts := include "vestibule.facts" . | fromJson -}}
{{- $strip := (.Files.Get "files/traefik.yaml" | fromYaml).names.strip -}}
{{- $given := include "vestibule.given" . | fromJson -}}
{{- range $policy := .Values.middlewares.policies -}}
  {{- if not (regexMatch "^[a-z0-9]+(-[a-z0-9]+)*$" $policy) -}}
    {{- $faults = append $faults (printf "middlewares.policies has %s, after which no object can be named: use lower-case letters and digits, with single hyphens between them" $policy) -}}
  {{- else if eq (printf "vestibule-%s" $policy) $strip -}}
    {{- $faults = append $faults (printf "middlewares.policies has %s, but %s is the middleware that deletes headers: give the policy another name" $policy $strip) -}}
  {{- else if not (or $.Values.existingConfigMap (hasKey $policies $policy)) -}}
    {{- $faults = append $faults (printf "middlewares.policies has %s, but config.policies has %s: write the policy there, or remove it here" $policy (keys $policies | sortAlpha | join ", " | default "none")) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.middlewares.policies (not .Values.middlewares.enabled) -}}
  {{- $faults = append $faults "middlewares.policies is given, but middlewares.enabled is false: set it to true" -}}
{{- end -}}
{{- if and .Values.middlewares.enabled (hasKey $given "IDENTITY_HEADERS_FILE") -}}
  {{- $faults = append $faults "IDENTITY_HEADERS_FILE is a file that the chart does not see, so that clients could forge headers that the middlewares lack: set settings.IDENTITY_HEADERS instead, or middlewares.enabled to false" -}}
{{- end -}}
{{- if and .Values.middlewares.enabled (or .Values.existingConfigMap .Values.extraEnvFrom) -}}
  {{- range $name := list "IDENTITY_HEADERS" "PASS_AUTHORIZATION" -}}
    {{- $value := get $settings $name -}}
    {{- if and (not (kindIs "slice" $value)) (or (not (hasKey $settings $name)) (kindIs "invalid" $value) (not (trim (toString $value)))) -}}
      {{- $faults = append $faults (printf "%s may be in existingConfigMap or extraEnvFrom, which the chart does not see, so that clients could forge headers that the middlewares lack: set settings.%s (%s for none), or middlewares.enabled to false" $name $name (ternary "[]" "false" (eq $name "IDENTITY_HEADERS"))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (include "vestibule.isConfigured" .) (ne .Values.signIn.kind "none") (not $facts.hosts) (or .Values.existingConfigMap (hasKey $given "PROTECTED_HOSTS_FILE") .Values.extraEnvFrom) -}}
  {{- $faults = append $faults "the hosts are in a file that the chart does not see: name them in signIn.hosts, or set signIn.kind to none" -}}
{{- end -}}
{{- range $facts.hosts -}}
  {{- if not (regexMatch "^(\\*\\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?$" .) -}}
    {{- $faults = append $faults (printf "%s is no host: write app.example.com or *.example.com, without a path" .) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq .Values.signIn.kind "HTTPRoute") (not .Values.signIn.parentRefs) -}}
  {{- $faults = append $faults "signIn.kind is HTTPRoute: name the Gateway in signIn.parentRefs, such as [{ name: traefik, namespace: traefik }]" -}}
{{- end -}}
{{- if and (eq .Values.signIn.kind "HTTPRoute") .Values.signIn.tlsSecretName -}}
  {{- $faults = append $faults "signIn.tlsSecretName is given, but the certificate of an HTTPRoute is that of its Gateway: remove it" -}}
{{- end -}}
{{- $tls := .Values.tls -}}
{{- if and $tls.enabled (not $tls.certManager.enabled) (not $tls.secretName) -}}
  {{- $faults = append $faults "tls.enabled is true without a certificate: set tls.certManager.enabled to true, or tls.secretName to a Secret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and (not $tls.enabled) (or $tls.certManager.enabled $tls.clientCertificates $tls.secretName) -}}
  {{- $faults = append $faults "tls has a certificate, but tls.enabled is false, so that it would not be used: set tls.enabled to true" -}}
{{- end -}}
{{- if and $tls.certManager.enabled $tls.secretName -}}
  {{- $faults = append $faults "tls.secretName names a Secret of yours, and cert-manager would write another: remove tls.secretName or tls.certManager" -}}
{{- end -}}
{{- if eq (include "vestibule.tlsSecret" .) $tls.clientSecretName -}}
  {{- $faults = append $faults "tls.clientSecretName is the Secret of the pods, whose key belongs in no other namespace: name another Secret" -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}

{{- define "vestibule.faultsOfPods" -}}
{{- $faults := list -}}
{{- $scaling := .Values.autoscaling -}}
{{- if and $scaling.enabled (lt (int $scaling.maxReplicas) (int $scaling.minReplicas)) -}}
  {{- $faults = append $faults (printf "autoscaling.maxReplicas is %v, below autoscaling.minReplicas, which is %v: raise it" $scaling.maxReplicas $scaling.minReplicas) -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor .Values.monitoring.podMonitor -}}
  {{- $faults = append $faults "monitoring has serviceMonitor and podMonitor, so that each pod would be counted twice: set one of them to false" -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
  {{- if hasKey . "hostPath" -}}
    {{- $faults = append $faults (printf "extraVolumes has the hostPath %s, which the restricted Pod Security Standard forbids: use a ConfigMap, a Secret or a claim" .name) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .Values.image.digest)) -}}
  {{- $faults = append $faults "image.digest is no digest: write sha256: and 64 hexadecimal digits" -}}
{{- end -}}
{{- if and (eq .Values.image.tag "latest") (not .Values.image.digest) -}}
  {{- $faults = append $faults "image.tag is latest, with which pods of one rollout may differ: name a version" -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}

{{- define "vestibule.faultsOfNetwork" -}}
{{- $faults := list -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.enabled (include "vestibule.isConfigured" .) (not $policy.extraEgress) -}}
  {{- if not (or $policy.provider.cidrs $policy.provider.anyPublic $policy.provider.podLabels $policy.provider.namespace) -}}
    {{- $faults = append $faults "networkPolicy.provider names no address, so that nobody could sign in: set networkPolicy.provider.cidrs, or anyPublic to true for a provider whose addresses change" -}}
  {{- end -}}
  {{- if and (has .Values.redis.kind (list "url" "sentinel" "cluster")) (not (or $policy.redis.cidrs $policy.redis.podLabels $policy.redis.namespace)) -}}
    {{- $faults = append $faults "networkPolicy.redis names no address, so that Redis could not be reached: set networkPolicy.redis.cidrs, or namespace and podLabels for a Redis in this cluster" -}}
  {{- end -}}
{{- end -}}
{{- /* A rule without peers would admit everybody. */ -}}
{{- range $name, $peer := pick $policy "traefik" "prometheus" "dns" -}}
  {{- if not (or (not $policy.enabled) (eq (toString $peer.enabled) "false") $peer.namespace $peer.podLabels $peer.cidrs) -}}
    {{- $faults = append $faults (printf "networkPolicy.%s names no pods, so that all would be meant: set its namespace and podLabels%s" $name (ternary ", or its enabled to false" "" (hasKey $peer "enabled"))) -}}
  {{- end -}}
{{- end -}}
{{- if and $policy.defaultDeny (not $policy.enabled) -}}
  {{- $faults = append $faults "networkPolicy.defaultDeny is true, but networkPolicy.enabled is false, so that nothing could be reached: set it to true" -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}
