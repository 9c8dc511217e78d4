{{/* (list $ cpu|cuda): the part of a stage's pod that depends on the cluster. */}}
{{- define "foundry.stages.pod" -}}
{{- $root := first . }}
{{- $pool := get $root.Values.stages (last .) -}}
apiVersion: v1
kind: Pod
metadata:
  namespace: {{ include "foundry.stages" $root }}
  labels:
    app.kubernetes.io/part-of: foundry
    app.kubernetes.io/instance: {{ $root.Release.Name }}
spec:
  restartPolicy: Never
  serviceAccountName: foundry-stage
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $pool.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pool.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pool.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  containers:
    - name: base
      image: {{ include "foundry.image" (list $root (printf "stage-%s" (last .))) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      volumeMounts:
        - {name: markets, mountPath: /run/foundry/markets, readOnly: true}
  volumes:
    - name: markets
      configMap: {name: "{{ include "foundry.name" $root }}-markets"}
{{- end }}
