{{- /* Each of these returns a JSON array of what is wrong, with the remedy. */ -}}

{{- define "vestibule.faultsOfSettings" -}}
{{- $faults := list -}}
{{- $settings := .Values.settings | default dict -}}
{{- $config := .Values.config | default dict -}}
{{- $known := (.Files.Get "files/settings.yaml" | fromYaml).settings -}}
{{- $made := dict "SESSION_ENCRYPTION_KEY_FILE" "secret.name" "OIDC_CLIENT_SECRET_FILE" "clientAuthentication" "OIDC_CLIENT_PRIVATE_KEY_FILE" "clientAuthentication" "ADMIN_TOKEN_FILE" "secret.adminToken" "BROADCAST_TOKEN_FILE" "secret.broadcastToken" "VESTIBULE_CONFIG" "config or existingConfigMap" "INTERNAL_TLS_CERT_FILE" "tls" "INTERNAL_TLS_KEY_FILE" "tls" "INTERNAL_TLS_CLIENT_CA_FILE" "tls.clientCertificates" "REDIS_ENABLED" "redis.kind" "REDIS_CLUSTER" "redis.kind" "REDIS_URL_FILE" "redis.kind" "REDIS_ADDRESS_FILE" "redis.kind" "REDIS_SENTINEL_ADDRESSES" "redis.addresses" "REDIS_SENTINEL_MASTER" "redis.master" "REDIS_SENTINEL_PASSWORD_FILE" "redis.sentinelPassword" "REDIS_PASSWORD_FILE" "redis.password" "REDIS_ENABLE_TLS" "redis.tls" "REDIS_CA_FILE" "redis.caKey" -}}
{{- range $name, $value := $settings -}}
  {{- if not (hasKey $known $name) -}}
    {{- $faults = append $faults (printf "settings.%s is no setting of Vestibule: docs/configuration.md has their names" $name) -}}
  {{- else if kindIs "map" $value -}}
    {{- $faults = append $faults (printf "settings.%s is neither a text, a number, true or false, nor a list of texts" $name) -}}
  {{- end -}}
{{- end -}}
{{- /* Keys of the Secret that docs/helm.md lists; the values in $made say which of them are read. */ -}}
{{- $keys := dict "SESSION_ENCRYPTION_KEY" "session-key" "OIDC_CLIENT_SECRET" "client-secret" "OIDC_CLIENT_PRIVATE_KEY" "client-private-key" "ADMIN_TOKEN" "admin-token" "BROADCAST_TOKEN" "broadcast-token" "REDIS_URL" "redis-url" "REDIS_ADDRESS" "redis-url" "REDIS_PASSWORD" "redis-password" "REDIS_SENTINEL_PASSWORD" "sentinel-password" -}}
{{- $given := include "vestibule.given" . | fromJson -}}
{{- range $name, $value := $given -}}
  {{- if hasKey $made $name -}}
    {{- $faults = append $faults (printf "%s is made by the chart: use the value %s" $name (get $made $name)) -}}
  {{- else if and (get (get $known $name) "secret") (or (not (hasSuffix "_PROXY" $name)) (contains "@" (toString $value))) -}}
    {{- $place := printf "the key %s of the Secret %s" (get $keys $name) $.Values.secret.name -}}
    {{- if not (hasKey $keys $name) }}{{ $place = "extraEnv with valueFrom.secretKeyRef" }}{{ end -}}
    {{- $faults = append $faults (printf "%s may hold a secret, which Helm would store in clear: remove it here and put it into %s (docs/helm.md)" $name $place) -}}
  {{- end -}}
{{- end -}}
{{- $environment := include "vestibule.made" . | fromJson -}}
{{- $followed := list "IDENTITY_HEADERS" "IDENTITY_HEADERS_FILE" "PASS_AUTHORIZATION" "COOKIE_NAME" "BASE_PATH" "PORT" "INTERNAL_PORT" "DRAIN_SECONDS" "REDIS_CACHE_MODE" -}}
{{- range .Values.extraEnv -}}
  {{- if has .name (list "NODE_OPTIONS" "MALLOC_ARENA_MAX") -}}
    {{- $faults = append $faults (printf "extraEnv has %s, which the chart sets: use the value memory" .name) -}}
  {{- else if or (hasKey $made .name) (hasKey $environment (printf "%s_FILE" .name)) -}}
    {{- $faults = append $faults (printf "extraEnv has %s, which is made by the chart: use the value %s" .name (get $made .name | default (get $made (printf "%s_FILE" .name)))) -}}
  {{- else if has .name $followed -}}
    {{- $faults = append $faults (printf "extraEnv has %s, which routes, ports and middlewares follow: use settings.%s" .name .name) -}}
  {{- else if and .value (get (get $known (toString .name) | default dict) "secret") (not (hasSuffix "_PROXY" .name)) -}}
    {{- $faults = append $faults (printf "extraEnv has %s as a value, which Helm would store in clear: use valueFrom.secretKeyRef" .name) -}}
  {{- end -}}
{{- end -}}
{{- if and $config .Values.existingConfigMap -}}
  {{- $faults = append $faults "config and existingConfigMap are both given, but there is one settings file: remove one of them" -}}
{{- end -}}
{{- $base := get $given "BASE_PATH" -}}
{{- if and $base (not (regexMatch "^(/[a-z0-9_-][a-z0-9._-]*)+$" (toString $base))) -}}
  {{- $faults = append $faults (printf "BASE_PATH is %v, which is no lower-case path such as /oauth2 without a slash at its end" $base) -}}
{{- end -}}
{{- range $pair := list (list "BASE_PATH" "basePath") (list "PORT" "port") (list "INTERNAL_PORT" "internalPort") -}}
  {{- $ofSettings := get $settings (first $pair) | toString -}}
  {{- $ofFile := get $config (last $pair) | toString -}}
  {{- if and (hasKey $settings (first $pair)) (hasKey $config (last $pair)) (ne $ofSettings $ofFile) -}}
    {{- $faults = append $faults (printf "settings.%s is %s, but config.%s is %s: keep one of them, which routes and pods then share" (first $pair) $ofSettings (last $pair) $ofFile) -}}
  {{- end -}}
{{- end -}}
{{- range $name := list "PORT" "INTERNAL_PORT" -}}
  {{- $port := get $given $name -}}
  {{- if and (hasKey $given $name) (lt (int $port) 1024) -}}
    {{- $faults = append $faults (printf "%s is %v, but a restricted pod listens above 1023: leave it out" $name $port) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}

{{- define "vestibule.faultsOfAccess" -}}
{{- $faults := list -}}
{{- if and (include "vestibule.isConfigured" .) (not .Values.existingConfigMap) -}}
  {{- $given := include "vestibule.given" . | fromJson -}}
  {{- range .Values.extraEnv }}{{ $_ := set $given .name true }}{{ end -}}
  {{- if not (or $given.PROTECTED_HOSTS $given.PROTECTED_HOSTS_FILE .Values.extraEnvFrom) -}}
    {{- $faults = append $faults "no hosts are given: set settings.PROTECTED_HOSTS to the hosts of your apps, such as [app.example.com]" -}}
  {{- end -}}
  {{- range $name := list "OIDC_ISSUER_URL" "OIDC_CLIENT_ID" -}}
    {{- if not (or (get $given $name) $.Values.extraEnvFrom) -}}
      {{- $faults = append $faults (printf "%s is not given: set settings.%s as your provider says" $name $name) -}}
    {{- end -}}
  {{- end -}}
  {{- $lists := list "ALLOWED_EMAILS" "ALLOWED_EMAIL_DOMAINS" "ALLOWED_GROUPS" "ALLOWED_EMAILS_FILE" "ALLOWED_EMAIL_DOMAINS_FILE" "ALLOWED_GROUPS_FILE" "PUBLIC_PATHS" "PUBLIC_PATHS_FILE" -}}
  {{- $mayEnter := or (.Values.config | default dict).rules .Values.extraEnvFrom (eq (lower (toString $given.ALLOW_ANY_USER)) "true") -}}
  {{- range $lists }}{{ if get $given . }}{{ $mayEnter = true }}{{ end }}{{ end -}}
  {{- if not $mayEnter -}}
    {{- $faults = append $faults "nobody may enter: set settings.ALLOWED_EMAIL_DOMAINS, ALLOWED_EMAILS, ALLOWED_GROUPS or ALLOW_ANY_USER, or write config.rules" -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $faults -}}
{{- end -}}
