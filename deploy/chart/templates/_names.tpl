{{- define "allotment.labels" -}}
app.kubernetes.io/name: allotment
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "allotment.selector" -}}
app.kubernetes.io/name: allotment
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "allotment.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Every pod is told of the API server's service; these say it differently. */ -}}
{{- define "allotment.apiServer" -}}
{{- with .Values.apiServer }}
{{- if .host -}}
- {name: KUBERNETES_SERVICE_HOST, value: {{ .host | quote }}}
- {name: KUBERNETES_SERVICE_PORT, value: {{ .port | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "allotment.probes" -}}
{{- $host := ternary "127.0.0.1" .host (has .host (list "0.0.0.0" "[::]")) -}}
livenessProbe:
  httpGet: {host: {{ $host | quote }}, port: http, path: /healthz}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {host: {{ $host | quote }}, port: http, path: /readyz}
  periodSeconds: 5
{{- end }}
