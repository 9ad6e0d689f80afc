{{- /* Text of a value as the environment has it; whole numbers are floats in Helm. */ -}}
{{- define "vestibule.text" -}}
{{- if kindIs "slice" . -}}
  {{- $entries := list -}}
  {{- $cut := false -}}
  {{- range . -}}
    {{- $entry := include "vestibule.text" . -}}
    {{- $entries = append $entries $entry -}}
    {{- if regexMatch "[,\"\n]" $entry }}{{ $cut = true }}{{ end -}}
  {{- end -}}
  {{- if or $cut (not $entries) }}{{ toRawJson $entries }}{{ else }}{{ join "," $entries }}{{ end -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
  {{- printf "%.0f" . -}}
{{- else -}}
  {{- toString . -}}
{{- end -}}
{{- end -}}

{{- /* JSON array of the entries of a list, given as a list or as the text that the environment has. */ -}}
{{- define "vestibule.entries" -}}
{{- if kindIs "slice" . -}}
  {{- toRawJson . -}}
{{- else if regexMatch "^\\[\\s*[\"\\]]" (trim (toString .)) -}}
  {{- trim . -}}
{{- else -}}
  {{- $entries := list -}}
  {{- range regexFindAll "(?:\"[^\"\\r\\n]*\"?|[^\",\\r\\n])+" (toString .) -1 -}}
    {{- with trim . }}{{ $entries = append $entries . }}{{ end -}}
  {{- end -}}
  {{- toRawJson $entries -}}
{{- end -}}
{{- end -}}

{{- /* JSON object of the settings that values give, by name: those of config by their keys, and settings, which win. */ -}}
{{- define "vestibule.given" -}}
{{- $file := dict -}}
{{- range $key, $value := .Values.config -}}
  {{- if and (kindIs "map" $value) (ne $key "policies") -}}
    {{- range $inner, $each := $value }}{{ $_ := set $file (lower (printf "%s.%s" $key $inner)) $each }}{{ end -}}
  {{- else -}}
    {{- $_ := set $file (lower $key) $value -}}
  {{- end -}}
{{- end -}}
{{- $given := dict -}}
{{- range $name, $about := (.Files.Get "files/settings.yaml" | fromYaml).settings -}}
  {{- range $source := list (dict "key" $name "values" ($.Values.settings | default dict)) (dict "key" (lower $about.key) "values" $file) -}}
    {{- /* null and blanks are settings that are not given. */ -}}
    {{- if and (not (hasKey $given $name)) (hasKey $source.values $source.key) -}}
      {{- $value := get $source.values $source.key -}}
      {{- if and (not (kindIs "invalid" $value)) (or (kindIs "slice" $value) (trim (toString $value))) }}{{ $_ := set $given $name $value }}{{ end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $given -}}
{{- end -}}

{{- /* JSON array of the namespaces with middlewares. */ -}}
{{- define "vestibule.namespaces" -}}
{{- prepend (.Values.middlewares.namespaces | default list) .Release.Namespace | uniq | toRawJson -}}
{{- end -}}

{{- define "vestibule.isConfigured" -}}
{{- if or .Values.settings .Values.config .Values.existingConfigMap }}true{{ end -}}
{{- end -}}

{{- /* Settings that the chart makes of other values, by name. */ -}}
{{- define "vestibule.made" -}}
{{- $folder := "/run/secrets/vestibule" -}}
{{- $made := dict "SESSION_ENCRYPTION_KEY_FILE" (printf "%s/session-key" $folder) -}}
{{- if eq .Values.clientAuthentication "secret" }}{{ $_ := set $made "OIDC_CLIENT_SECRET_FILE" (printf "%s/client-secret" $folder) }}{{ end -}}
{{- if eq .Values.clientAuthentication "private-key" }}{{ $_ := set $made "OIDC_CLIENT_PRIVATE_KEY_FILE" (printf "%s/client-private-key" $folder) }}{{ end -}}
{{- if .Values.secret.adminToken }}{{ $_ := set $made "ADMIN_TOKEN_FILE" (printf "%s/admin-token" $folder) }}{{ end -}}
{{- if .Values.secret.broadcastToken }}{{ $_ := set $made "BROADCAST_TOKEN_FILE" (printf "%s/broadcast-token" $folder) }}{{ end -}}
{{- if or .Values.config .Values.existingConfigMap }}{{ $_ := set $made "VESTIBULE_CONFIG" "/etc/vestibule/vestibule.yaml" }}{{ end -}}
{{- if .Values.tls.enabled -}}
  {{- $_ := set $made "INTERNAL_TLS_CERT_FILE" "/run/secrets/vestibule-tls/tls.crt" -}}
  {{- $_ := set $made "INTERNAL_TLS_KEY_FILE" "/run/secrets/vestibule-tls/tls.key" -}}
  {{- if .Values.tls.clientCertificates }}{{ $_ := set $made "INTERNAL_TLS_CLIENT_CA_FILE" "/run/secrets/vestibule-tls/ca.crt" }}{{ end -}}
{{- end -}}
{{- toRawJson (merge $made (include "vestibule.madeForRedis" . | fromJson)) -}}
{{- end -}}

{{- define "vestibule.madeForRedis" -}}
{{- $folder := "/run/secrets/vestibule" -}}
{{- $redis := .Values.redis -}}
{{- $made := dict "REDIS_ENABLED" (ternary "false" "true" (eq $redis.kind "memory")) -}}
{{- $hasAddresses := false -}}
{{- if eq $redis.kind "bundled" -}}
  {{- $_ := set $made "REDIS_ADDRESS" (printf "%s:6379" $redis.bundled.name) -}}
  {{- $_ := set $made "REDIS_PASSWORD_FILE" (printf "%s/redis-password" $folder) -}}
{{- else if eq $redis.kind "sentinel" -}}
  {{- $hasAddresses = true -}}
  {{- $_ := set $made "REDIS_SENTINEL_ADDRESSES" (join "," $redis.addresses) -}}
  {{- $_ := set $made "REDIS_SENTINEL_MASTER" $redis.master -}}
  {{- if $redis.sentinelPassword }}{{ $_ := set $made "REDIS_SENTINEL_PASSWORD_FILE" (printf "%s/sentinel-password" $folder) }}{{ end -}}
{{- else if and (eq $redis.kind "cluster") $redis.addresses -}}
  {{- $hasAddresses = true -}}
  {{- $_ := set $made "REDIS_ADDRESS" (join "," $redis.addresses) -}}
{{- else if and (ne $redis.kind "memory") (include "vestibule.isConfigured" .) -}}
  {{- $_ := set $made "REDIS_URL_FILE" (printf "%s/redis-url" $folder) -}}
{{- end -}}
{{- if eq $redis.kind "cluster" }}{{ $_ := set $made "REDIS_CLUSTER" "true" }}{{ end -}}
{{- if and $hasAddresses $redis.password }}{{ $_ := set $made "REDIS_PASSWORD_FILE" (printf "%s/redis-password" $folder) }}{{ end -}}
{{- if and $hasAddresses $redis.tls }}{{ $_ := set $made "REDIS_ENABLE_TLS" "true" }}{{ end -}}
{{- if and $redis.caKey (ne $redis.kind "memory") }}{{ $_ := set $made "REDIS_CA_FILE" (printf "%s/%s" $folder $redis.caKey) }}{{ end -}}
{{- toRawJson $made -}}
{{- end -}}

{{- /* JSON object of the environment of the pods. */ -}}
{{- define "vestibule.environment" -}}
{{- $given := include "vestibule.given" . | fromJson -}}
{{- $environment := include "vestibule.made" . | fromJson -}}
{{- if and (ne .Values.redis.kind "memory") (not (hasKey $given "REDIS_CACHE_MODE")) }}{{ $_ := set $environment "REDIS_CACHE_MODE" "hybrid" }}{{ end -}}
{{- if not (hasKey $given "DRAIN_SECONDS") }}{{ $_ := set $environment "DRAIN_SECONDS" "10" }}{{ end -}}
{{- range $name, $value := .Values.settings -}}
  {{- if not (kindIs "invalid" $value) }}{{ $_ := set $environment $name (include "vestibule.text" $value) }}{{ end -}}
{{- end -}}
{{- toRawJson $environment -}}
{{- end -}}

{{- /* JSON object of what routes, ports and probes need to know of the settings. */ -}}
{{- define "vestibule.facts" -}}
{{- $given := include "vestibule.given" . | fromJson -}}
{{- $known := .Files.Get "files/settings.yaml" | fromYaml -}}
{{- $facts := dict -}}
{{- range $name, $default := $known.defaults }}{{ $_ := set $facts $name (include "vestibule.text" (ternary (get $given $name) $default (hasKey $given $name))) }}{{ end -}}
{{- if not (hasKey $given "DRAIN_SECONDS") }}{{ $_ := set $facts "DRAIN_SECONDS" "10" }}{{ end -}}
{{- $headers := list -}}
{{- range include "vestibule.entries" (get $given "IDENTITY_HEADERS" | default list) | fromJsonArray }}{{ $headers = append $headers (regexReplaceAll "=(.|\\n)*$" . "") }}{{ end -}}
{{- $_ := set $facts "headers" $headers -}}
{{- $_ := set $facts "passesAuthorization" (has (lower (toString (get $given "PASS_AUTHORIZATION"))) (list "true" "access-token" "id-token")) -}}
{{- $hosts := include "vestibule.entries" (get $given "PROTECTED_HOSTS" | default list) | fromJsonArray -}}
{{- with get $given "PUBLIC_URL" }}{{ $hosts = prepend $hosts (trimSuffix "/" .) }}{{ end -}}
{{- if .Values.signIn.hosts }}{{ $hosts = .Values.signIn.hosts }}{{ end -}}
{{- $_ := set $facts "origins" $hosts -}}
{{- $names := list -}}
{{- range $hosts }}{{ $names = append $names (regexReplaceAll ":[0-9]+$" (regexReplaceAll "^https?://" (lower .) "") "") }}{{ end -}}
{{- $_ := set $facts "hosts" (uniq $names) -}}
{{- toRawJson $facts -}}
{{- end -}}
