{{/* Parts that all Airflow pods share, like x-airflow in docker-compose.yaml. */}}

{{/* Foundry's settings as environment variables. Secrets are files. */}}
{{- define "foundry.settings" -}}
- {name: FOUNDRY_RUNTIME, value: kubernetes}
- {name: FOUNDRY_STORE, value: {{ .Values.store | quote }}}
- {name: FOUNDRY_S3_ENDPOINT, value: {{ include "foundry.s3Endpoint" . | quote }}}
- {name: FOUNDRY_SECRETS, value: /run/foundry/secrets}
- {name: FOUNDRY_MARKETS, value: /run/foundry/markets}
- {name: FOUNDRY_MLFLOW_URI, value: "http://{{ include "foundry.name" . }}-mlflow.{{ .Release.Namespace }}.svc:5000"}
- {name: FOUNDRY_IMAGE_CPU, value: {{ include "foundry.image" (list . "stage-cpu") | quote }}}
- {name: FOUNDRY_IMAGE_CUDA, value: {{ ternary (include "foundry.image" (list . "stage-cuda")) "" .Values.stages.cuda.enabled | quote }}}
- {name: FOUNDRY_POD_GPUS, value: {{ .Values.stages.cuda.gpus | quote }}}
- {name: FOUNDRY_POD_TEMPLATES, value: /run/foundry/pod-templates}
- {name: FOUNDRY_NOTIFY, value: {{ .Values.airflow.notify | quote }}}
- {name: FOUNDRY_REPORTS_URL, value: {{ include "foundry.url" (list . "reports" 8000) | quote }}}
- {name: FOUNDRY_MLFLOW_URL, value: {{ include "foundry.url" (list . "mlflow" 5000) | quote }}}
{{- end }}

{{- define "foundry.airflow.env" -}}
{{ include "foundry.settings" . }}
- {name: AIRFLOW__CORE__EXECUTOR, value: LocalExecutor}
- {name: AIRFLOW__CORE__AUTH_MANAGER, value: airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager}
- {name: AIRFLOW__CORE__EXECUTION_API_SERVER_URL, value: "http://{{ include "foundry.name" . }}-api-server:8080/execution/"}
- {name: AIRFLOW__CORE__PARALLELISM, value: {{ .Values.airflow.parallelism | quote }}}
- {name: AIRFLOW__CORE__FERNET_KEY_CMD, value: cat /run/airflow/airflow_fernet_key}
- {name: AIRFLOW__API__SECRET_KEY_CMD, value: cat /run/airflow/airflow_api_secret_key}
- {name: AIRFLOW__API_AUTH__JWT_SECRET_CMD, value: cat /run/airflow/airflow_jwt_secret}
- {name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD, value: cat /run/airflow/airflow_db_url}
- {name: AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS, value: airflow.providers.fab.auth_manager.models.db.FABDBManager}
- {name: AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK, value: "True"}
# Interval at which a scheduler looks for tasks of a dead one. Airflow's default is five minutes.
- {name: AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL, value: "20"}
- {name: AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT, value: {{ .Values.airflow.taskHeartbeatTimeoutS | quote }}}
# Time until a worker notices that a task's process has ended. With Airflow's default of 5 s, a pod that ends earlier resumes
# its task before that; the task then fails and is retried.
- {name: AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL, value: "1"}
- {name: AIRFLOW__USAGE_DATA_COLLECTION__ENABLED, value: "False"}
{{- if .Values.web.hosts.airflow }}
- {name: AIRFLOW__API__BASE_URL, value: {{ include "foundry.url" (list . "airflow" 8080) | quote }}}
{{- end }}
{{- if eq .Values.metrics.kind "statsd" }}
- {name: AIRFLOW__METRICS__STATSD_ON, value: "True"}
- {name: AIRFLOW__METRICS__STATSD_HOST, value: "{{ include "foundry.name" . }}-statsd"}
- {name: AIRFLOW__METRICS__STATSD_PORT, value: "9125"}
{{- end }}
{{- if eq .Values.metrics.kind "otel" }}
- {name: AIRFLOW__METRICS__OTEL_ON, value: "True"}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .Values.metrics.otelEndpoint | quote }}}
- {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: http/protobuf}
{{- end }}
{{- end }}

{{- define "foundry.airflow.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: logs, mountPath: /opt/airflow/logs}
- {name: airflow-secrets, mountPath: /run/airflow, readOnly: true}
- {name: markets, mountPath: /run/foundry/markets, readOnly: true}
- {name: pod-templates, mountPath: /run/foundry/pod-templates, readOnly: true}
{{- end }}

{{/* All volumes but `logs`, which is persistent in some pods only. */}}
{{- define "foundry.airflow.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 512Mi}
- name: airflow-secrets
  {{- include "foundry.files" (list . "airflow_db_url" "airflow_fernet_key" "airflow_jwt_secret" "airflow_api_secret_key") | nindent 2 }}
- name: markets
  configMap: {name: "{{ include "foundry.name" . }}-markets"}
- name: pod-templates
  configMap: {name: "{{ include "foundry.name" . }}-pod-templates"}
{{- end }}

{{/* Keys with which a task reads a stage's result, and the address for notices if it is a secret. */}}
{{- define "foundry.airflow.stageFiles" -}}
- name: stage-files
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "foundry.secret" . }}
          items:
            - {key: s3_stage_access_key, path: s3_access_key}
            - {key: s3_stage_secret_key, path: s3_secret_key}
      - secret:
          name: {{ include "foundry.secret" . }}
          optional: true
          items: [{key: notify, path: notify}]
{{- end }}

{{/* Airflow's components wait until the database is migrated. A Job migrates it, not a hook. */}}
{{- define "foundry.airflow.waitForMigration" -}}
- name: wait-for-migration
  image: {{ include "foundry.image" (list . "airflow") }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [db, check-migrations, --migration-wait-timeout, "900"]
  env:
    {{- include "foundry.airflow.env" . | nindent 4 }}
  securityContext:
    {{- include "foundry.hardening" . | nindent 4 }}
  resources:
    {{- toYaml .Values.airflow.migrate.resources | nindent 4 }}
  volumeMounts:
    {{- include "foundry.airflow.mounts" . | nindent 4 }}
{{- end }}

{{/* (list $ logs): volume claim template for a StatefulSet's logs. Its size cannot change later, so it holds only logs. */}}
{{- define "foundry.airflow.logs" -}}
- metadata:
    name: logs
  spec:
    accessModes: [ReadWriteOnce]
    {{- with (last .).className }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ (last .).size }}}}
{{- end }}

{{/* (list job-type): probes that look for this pod's heartbeat in the database. Once per minute, as it costs seconds of CPU. */}}
{{- define "foundry.airflow.probes" -}}
{{- range $probe, $failures := dict "startupProbe" 10 "livenessProbe" 5 }}
{{ $probe }}:
  exec: {command: [airflow, jobs, check, --local, --job-type, {{ first $ }}]}
  periodSeconds: 60
  timeoutSeconds: 45
  failureThreshold: {{ $failures }}
{{- end }}
{{- end }}
