{{/* (list $ component …): selector of the pods of these components. */}}
{{- define "foundry.components" -}}
matchLabels: {app.kubernetes.io/name: foundry, app.kubernetes.io/instance: {{ (first .).Release.Name }}}
matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: {{ rest . | toJson }}}]
{{- end }}

{{/* (list $ network): selector of the pods in a network, like Compose's `networks`. */}}
{{- define "foundry.members" -}}
matchLabels: {app.kubernetes.io/instance: {{ (first .).Release.Name }}, foundry.network/{{ last . }}: "true"}
{{- end }}

{{/* (list $ name namespace): the head of a policy. */}}
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

{{/* Egress to the cluster's DNS, or to its cache on the node. */}}
{{- define "foundry.dns" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    - ipBlock: {cidr: 169.254.20.10/32}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
