{{- define "trackyard.name" -}}
{{- if contains "trackyard" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-trackyard" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trackyard.workerNamespace" -}}
{{ .Values.workerNamespace.name | default (printf "%s-workers" .Release.Namespace) }}
{{- end }}

{{- define "trackyard.keys" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "trackyard.name" .)) }}
{{- end }}

{{- define "trackyard.workerKey" -}}
{{ include "trackyard.name" . }}-worker-key
{{- end }}

{{- /* labels: {root, part} */ -}}
{{- define "trackyard.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "trackyard.labels" -}}
{{ include "trackyard.selector" . }}
app.kubernetes.io/name: trackyard-{{ .part }}
app.kubernetes.io/part-of: trackyard
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* image: {root, image} */ -}}
{{- define "trackyard.image" -}}
{{- $registry := .root.Values.image.registry -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end }}{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* account: {root, part, values} */ -}}
{{- define "trackyard.account" -}}
{{ .values.serviceAccount.name | default (ternary (printf "%s-%s" (include "trackyard.name" .root) .part) "default" .values.serviceAccount.create) }}
{{- end }}
