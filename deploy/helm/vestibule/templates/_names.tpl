{{- define "vestibule.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "vestibule" .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-vestibule" (.Release.Name | trunc 38 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- /* Name at which Traefik, Prometheus and helm test call Vestibule, and which its certificate needs. */ -}}
{{- define "vestibule.host" -}}
{{ include "vestibule.name" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{- define "vestibule.selector" -}}
app.kubernetes.io/name: vestibule
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels and annotations of an object; takes root, and optionally name, namespace, labels and annotations. */ -}}
{{- define "vestibule.metadata" -}}
{{- $root := .root -}}
{{- $annotations := merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) -}}
metadata:
  name: {{ .name | default (include "vestibule.name" $root) }}
  namespace: {{ .namespace | default $root.Release.Namespace }}
  labels:
    {{- $own := dict "app.kubernetes.io/name" (.app | default "vestibule") "app.kubernetes.io/instance" $root.Release.Name "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) }}
    {{- toYaml (merge $own (.labels | default dict) ($root.Values.commonLabels | default dict)) | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "vestibule.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "vestibule.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "vestibule.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vestibule.tlsSecret" -}}
{{- .Values.tls.secretName | default (printf "%s-tls" (include "vestibule.name" .)) -}}
{{- end -}}

{{- /* Options of Node that fit into the memory of a container: the table in docs/operations.md, "Memory". */ -}}
{{- define "vestibule.nodeOptions" -}}
{{- $sizes := dict "256Mi" (list 128 2) "512Mi" (list 320 2) "640Mi" (list 384 8) "1Gi" (list 768 16) -}}
{{- $size := get $sizes .Values.memory -}}
--max-old-space-size={{ index $size 0 }} --max-semi-space-size={{ index $size 1 }}
{{- end -}}

{{- define "vestibule.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "vestibule.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* Peers of a network policy: networks, and pods with labels in a namespace; nothing where none is given. */ -}}
{{- define "vestibule.peers" -}}
{{- range .cidrs -}}
- ipBlock: { cidr: {{ . | quote }} }
{{ end -}}
{{- if or .namespace .podLabels -}}
-{{ if .namespace }} namespaceSelector:
    matchLabels: { kubernetes.io/metadata.name: {{ .namespace | quote }} }
 {{ end }}{{ with .podLabels }} podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "vestibule.redisSelector" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
