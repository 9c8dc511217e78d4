{{/* Pages with a host, as a YAML list: name, service, port, host. */}}
{{- define "foundry.pages" -}}
{{- $services := dict "airflow" (list "api-server" 8080) "mlflow" (list "mlflow" 5000) "reports" (list "reports" 8000) }}
{{- if not .Values.airflow.enabled }}
{{- $services = omit $services "airflow" }}
{{- end }}
{{- range $page, $service := $services }}
{{- with get $.Values.web.hosts $page }}
- {page: {{ $page }}, host: {{ . }}, service: "{{ include "foundry.name" $ }}-{{ first $service }}", port: {{ last $service }}}
{{- end }}
{{- end }}
{{- end }}
