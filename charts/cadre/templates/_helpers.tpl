{{- define "cadre.labels" -}}
app.kubernetes.io/part-of: cadre
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (root, name): labels of one component's objects */}}
{{- define "cadre.componentLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
{{ include "cadre.labels" (index . 0) }}
{{- end }}

{{/* (root, component): reference of an image */}}
{{- define "cadre.image" -}}
{{- $root := index . 0 -}}
{{- $image := get $root.Values.images (index . 1) -}}
{{- $name := $image.repository -}}
{{- if $root.Values.images.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $root.Values.images.registry) $name }}{{ end -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $name $image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (coalesce $image.tag $root.Values.images.tag $root.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{- define "cadre.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cadre.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* (root, name): one replica per node and zone, as far as there are any */}}
{{- define "cadre.spread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {app.kubernetes.io/name: {{ index $ 1 }}}
{{- end }}
{{- end }}

{{/* (root, values of a component): where its pods may run */}}
{{- define "cadre.placement" -}}
{{- $root := index . 0 }}{{ $values := index . 1 }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "cadre.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:cadre-operator
{{- end }}

{{- define "cadre.issuerPrefixes" -}}
{{- $pairs := list }}
{{- range $prefix, $issuer := .Values.identities.issuerPrefixes }}{{ $pairs = append $pairs (printf "%s=%s" $prefix $issuer) }}{{ end }}
{{- join "," $pairs }}
{{- end }}

{{- define "cadre.postgresSecret" -}}
{{ .Values.postgres.existingSecret | default "cadre-postgres" }}
{{- end }}

{{- define "cadre.keystoreSecret" -}}
{{ .Values.keystore.existingSecret | default "cadre-keystore" }}
{{- end }}

{{/* The environment that leads to the database: for the controller and for what works on its data */}}
{{- define "cadre.databaseEnv" -}}
{{- if .Values.postgres.bundled }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "cadre.postgresSecret" . }}, key: password}}
- name: CADRE_DATABASE_URL
  value: postgresql://cadre@cadre-postgres.{{ .Release.Namespace }}.svc:5432/cadre?sslmode=verify-full&sslrootcert=/etc/cadre/database/ca.crt
{{- else }}
- name: CADRE_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ required "postgres.external.secretName: name a Secret with the database's URL, or set postgres.bundled=true" .Values.postgres.external.secretName }}, key: {{ .Values.postgres.external.key }}}}
{{- end }}
{{- end }}

{{/* The authority of the database, where the URL looks for it */}}
{{- define "cadre.databaseVolume" -}}
{{- if .Values.postgres.bundled }}
- name: database
  secret: {secretName: cadre-postgres-tls, items: [{key: ca.crt, path: ca.crt}]}
{{- else if .Values.postgres.external.caConfigMap }}
- name: database
  configMap: {name: {{ .Values.postgres.external.caConfigMap }}}
{{- end }}
{{- end }}

{{- define "cadre.databaseMount" -}}
{{- if or .Values.postgres.bundled .Values.postgres.external.caConfigMap }}
- {name: database, mountPath: /etc/cadre/database, readOnly: true}
{{- end }}
{{- end }}

{{/* Namespaces of agents in scope Namespaces */}}
{{- define "cadre.judgedNamespaces" -}}
{{- with .Values.webhook.exemptNamespaces -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{ toJson . }}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{- define "cadre.servedNamespaces" -}}
{{- if eq .Values.scope "Namespaces" }}{{ concat .Values.namespaces .Values.agentNamespaces | uniq | sortAlpha | join "," }}{{ end }}
{{- end }}
