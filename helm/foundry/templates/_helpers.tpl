{{/* What every name of this release begins with. */}}
{{- define "foundry.name" -}}
{{ .Release.Name | trunc 36 | trimSuffix "-" }}
{{- end }}

{{/* The namespace of the stages' pods. */}}
{{- define "foundry.stages" -}}
{{ .Values.stages.namespace | default (printf "%s-stages" .Release.Namespace) }}
{{- end }}

{{/* The namespace of Airflow: this one, or that of the cluster's own. */}}
{{- define "foundry.airflow.namespace" -}}
{{ ternary .Release.Namespace .Values.airflow.existing.namespace .Values.airflow.enabled }}
{{- end }}

{{/* (list $ component): what selects its pods. Nothing that a version or a value changes: selectors are immutable. */}}
{{- define "foundry.selector" -}}
app.kubernetes.io/name: foundry
app.kubernetes.io/instance: {{ (first .).Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* (list $ component): what every object is labelled with. */}}
{{- define "foundry.labels" -}}
{{ include "foundry.selector" . }}
app.kubernetes.io/part-of: foundry
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (first .).Chart.Name (first .).Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (list $ image): a digest goes before a tag. */}}
{{- define "foundry.image" -}}
{{- $root := first . }}
{{- $image := index $root.Values.images (last .) }}
{{- $registry := $root.Values.image.registry | trimSuffix "/" }}
{{- $tag := $image.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- list $registry $image.repository | compact | join "/" }}
{{- ternary (printf "@%s" $image.digest) (printf ":%s" $tag) (not (empty $image.digest)) }}
{{- end }}

{{/* (list $ component): what every pod of this namespace has in common. No links: they would be FOUNDRY_* variables. */}}
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

{{/* What a container may do: nothing that it does not need. */}}
{{- define "foundry.hardening" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The Secret that holds everything. */}}
{{- define "foundry.secret" -}}
{{ .Values.secrets.existing | default (printf "%s-secrets" (include "foundry.name" .)) }}
{{- end }}

{{/* (list $ key …): a volume source that shows these keys of it alone; old=new names a file anew. */}}
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

{{/* Where the store's server is, for pods of every namespace; empty: AWS. */}}
{{- define "foundry.s3Endpoint" -}}
{{- ternary (printf "http://%s-s3.%s.svc:7070" (include "foundry.name" .) .Release.Namespace) .Values.externalObjectStore.endpoint .Values.s3.enabled }}
{{- end }}

{{/* (list $ page port): its address in a browser. */}}
{{- define "foundry.url" -}}
{{- $root := index . 0 }}
{{- $host := get $root.Values.web.hosts (index . 1) }}
{{- ternary (printf "%s://%s" $root.Values.web.scheme $host) (printf "http://127.0.0.1:%v" (index . 2)) (not (empty $host)) }}
{{- end }}
