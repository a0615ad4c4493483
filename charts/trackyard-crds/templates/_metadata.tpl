{{- /* What both definitions have beside their names. */ -}}
{{- define "trackyard-crds.metadata" -}}
{{- $annotations := deepCopy .Values.annotations -}}
{{- if .Values.keep -}}
{{- $annotations = set $annotations "helm.sh/resource-policy" "keep" -}}
{{- end -}}
{{- if $annotations }}
annotations:
  {{- toYaml $annotations | nindent 2 }}
{{- end }}
labels:
  app.kubernetes.io/name: {{ .Chart.Name }}
  app.kubernetes.io/instance: {{ .Release.Name }}
  app.kubernetes.io/part-of: trackyard
  app.kubernetes.io/managed-by: {{ .Release.Service }}
  app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
  helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
  {{- with .Values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
