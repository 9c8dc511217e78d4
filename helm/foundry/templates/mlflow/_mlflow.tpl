{{/* Parts that MLflow's server and its migration share. */}}
{{- define "foundry.mlflow.container" -}}
{{- $name := printf "%s-mlflow" (include "foundry.name" .) -}}
image: {{ include "foundry.image" (list . "mlflow") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - {name: FOUNDRY_SECRETS, value: /run/foundry/secrets}
  - {name: FOUNDRY_S3_ENDPOINT, value: {{ include "foundry.s3Endpoint" . | quote }}}
  - {name: MLFLOW_DATABASE, value: {{ .Values.externalDatabase.mlflowUrl | default (printf "postgresql+psycopg2://mlflow@%s-postgres/mlflow" (include "foundry.name" .)) | quote }}}
  - {name: MLFLOW_ARTIFACTS_DESTINATION, value: {{ .Values.mlflow.artifacts | quote }}}
  # Host names that the server accepts: the Service's, localhost for a forwarded port, and the page's.
  - {name: MLFLOW_SERVER_ALLOWED_HOSTS, value: {{ compact (list (printf "%s:5000" $name) (printf "%s.%s.svc:5000" $name .Release.Namespace) "localhost:*" "127.0.0.1:*" .Values.web.hosts.mlflow) | join "," | quote }}}
securityContext:
  {{- include "foundry.hardening" . | nindent 2 }}
resources:
  {{- toYaml .Values.mlflow.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: secrets, mountPath: /run/foundry/secrets, readOnly: true}
{{- end }}
