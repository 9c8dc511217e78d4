{{/* Prefix of all names in this release. */}}
{{- define "foundry.name" -}}
{{ .Release.Name | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/* The namespace of the stages' pods. */}}
{{- define "foundry.stages" -}}
{{ .Values.stages.namespace | default (printf "%s-stages" .Release.Namespace) }}
{{- end }}

{{/* Airflow's namespace: the release's, or that of an existing Airflow. */}}
{{- define "foundry.airflow.namespace" -}}
{{ ternary .Release.Namespace .Values.airflow.existing.namespace .Values.airflow.enabled }}
{{- end }}

{{/* (list $ component): labels that select its pods. They do not depend on versions or values: selectors are immutable. */}}
{{- define "foundry.selector" -}}
app.kubernetes.io/name: foundry
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* (list $ component): labels of every object. */}}
{{- define "foundry.labels" -}}
{{ include "foundry.selector" . }}
app.kubernetes.io/part-of: foundry
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (first .).Chart.Name (first .).Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (list $ image): the image's reference; a digest takes precedence over a tag. */}}
{{- define "foundry.image" -}}
{{- $root := first . }}
{{- $image := index $root.Values.images (last .) }}
{{- $registry := $root.Values.image.registry | trimSuffix "/" }}
{{- $tag := $image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- list $registry $image.repository | compact | join "/" }}
{{- ternary (printf "@%s" $image.digest) (printf ":%s" $tag) (not (empty $image.digest)) }}
{{- end }}

{{/* (list $ component): the part that all pods share. No service links: they would set FOUNDRY_* variables. */}}
{{- define "foundry.pod" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "foundry.selector" $ | nindent 8 }}
  {{- end }}
{{- with (first .).Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with (first .).Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (first .).Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Security context of every container: only the needed rights. */}}
{{- define "foundry.hardening" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Name of the Secret with all passwords and keys. */}}
{{- define "foundry.secret" -}}
{{ .Values.secrets.existing | default (printf "%s-secrets" (include "foundry.name" .)) }}
{{- end }}

{{/* (list $ key …): a volume source with only these keys of the Secret; old=new renames a file. */}}
{{- define "foundry.files" -}}
projected:
  defaultMode: 0440
  sources:
    - secret:
        name: {{ include "foundry.secret" (first .) }}
        items:
          {{- range rest . }}
          - {key: {{ splitList "=" . | first }}, path: {{ splitList "=" . | last }}}
          {{- end }}
{{- end }}

{{/* URL of the store's server, valid in all namespaces; empty: AWS. */}}
{{- define "foundry.s3Endpoint" -}}
{{- ternary (printf "http://%s-s3.%s.svc:7070" (include "foundry.name" .) .Release.Namespace) .Values.externalObjectStore.endpoint .Values.s3.enabled }}
{{- end }}

{{/* (list $ page port): the page's address in a browser. */}}
{{- define "foundry.url" -}}
{{- $root := index . 0 }}
{{- $host := get $root.Values.web.hosts (index . 1) }}
{{- ternary (printf "%s://%s" $root.Values.web.scheme $host) (printf "http://127.0.0.1:%v" (index . 2)) (not (empty $host)) }}
{{- end }}
