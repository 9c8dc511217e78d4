{{/* (list $ component …): the pods of this release that are one of these, as a NetworkPolicy's selector. */}}
{{- define "foundry.components" -}}
matchLabels: {app.kubernetes.io/name: foundry, app.kubernetes.io/instance: {{ (first .).Release.Name }}}
matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: {{ rest . | toJson }}}]
{{- end }}

{{/* (list $ network): the pods of this release that are in a network, as Compose has it in `networks`. */}}
{{- define "foundry.members" -}}
matchLabels: {app.kubernetes.io/instance: {{ (first .).Release.Name }}, foundry.network/{{ last . }}: "true"}
{{- end }}

{{/* (list $ name namespace): how a policy begins. */}}
{{- define "foundry.policy" -}}
{{- $root := index . 0 -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "foundry.name" $root }}-{{ index . 1 }}
  namespace: {{ index . 2 }}
  labels:
    {{- include "foundry.labels" (list $root "network") | nindent 4 }}
{{- end }}

{{/* Names are asked for at the cluster's DNS, or at its cache on the node. */}}
{{- define "foundry.dns" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    - ipBlock: {cidr: 169.254.20.10/32}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
