{{/* The pod that every service has. All of it passes the Restricted Pod Security Standard. */}}

{{/* What a service says, else what all pods have, as YAML. Arguments: root, values, key. */}}
{{- define "rewardstream.own" -}}
{{- $value := hasKey .values .key | ternary (index .values .key) (index .root.Values.pods .key) -}}
{{- if $value }}{{ toYaml $value }}{{ end -}}
{{- end }}

{{/* Which Secrets and folders a service reads; a service has those that its code asks for, and no others. */}}
{{- define "rewardstream.needs" -}}
database: {{ toJson (list "difficulty" "crosscheck" "selector" "prepare") }}
signingKey: {{ toJson (list "selector" "rollout" "learner") }}
judgeApiKey: {{ toJson (list "genrm" "crosscheck") }}
runs: {{ toJson (concat (list "learner" "selector" "prepare") (ternary (list) (list "rollout") (ne .Values.storage.publishTo ""))) }}
models: {{ toJson (list "genrm" "crosscheck" "rollout" "learner") }}
data: {{ toJson (list "prepare" "selector") }}
{{- end }}

{{- define "rewardstream.podMetadata" -}}
labels:
  {{- include "rewardstream.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .service }}
  {{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "labels") }}
  {{- . | nindent 2 }}
  {{- end }}
annotations:
  checksum/settings: {{ include "rewardstream.toml" .root | sha256sum }}
  {{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "annotations") }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "rewardstream.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch # a run's folder has many files
seccompProfile: {{ .seccompProfile | default (dict "type" "RuntimeDefault") | toJson }}
{{- end }}

{{- define "rewardstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Placement, and what a pod does not get: a token of the cluster, and variables of the namespace's Services, which begin
with REWARDSTREAM_ for this chart's own and would be taken for settings. Arguments: root, values. */}}
{{- define "rewardstream.podPlacement" -}}
serviceAccountName: {{ include "rewardstream.fullname" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- $context := . }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with include "rewardstream.own" (dict "root" $context.root "values" $context.values "key" $key) }}
{{ $key }}:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Environment of a container. Arguments: root, values, service, kafkaService. */}}
{{- define "rewardstream.env" -}}
{{- $kafka := include "rewardstream.kafka" .root | fromJson -}}
env:
  - {name: HOME, value: /tmp} # the root file system is read only; libraries keep their caches at home
  {{- if $kafka.password }}
  - name: REWARDSTREAM_BROKER__SECURITY__USERNAME
    value: {{ (include "rewardstream.kafkaUser" (dict "root" .root "service" .kafkaService) | fromJson).name | quote }}
  {{- end }}
  {{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "env") }}
  {{- . | nindent 2 }}
  {{- end }}
{{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "envFrom") }}
envFrom:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "rewardstream.mounts" -}}
{{- $needs := include "rewardstream.needs" .root | fromYaml -}}
volumeMounts:
  - {name: settings, mountPath: /etc/rewardstream, readOnly: true}
  - {name: secrets, mountPath: /run/secrets/rewardstream, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  - {name: runs, mountPath: /var/lib/rewardstream/runs}
  - {name: prepared, mountPath: /var/lib/rewardstream/prepared}
  {{- if .values.sharedMemory }}
  - {name: shm, mountPath: /dev/shm}
  {{- end }}
  {{- range $place := list "models" "data" }}
  {{- $storage := index $.root.Values.storage $place }}
  {{- if and $storage.existingClaim (has $.service (index $needs $place)) }}
  - {name: {{ $place }}, mountPath: {{ $storage.mountPath | quote }}, readOnly: true}
  {{- end }}
  {{- end }}
  {{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "volumeMounts") }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "rewardstream.volumes" -}}
{{- $needs := include "rewardstream.needs" .root | fromYaml -}}
{{- $values := .root.Values -}}
volumes:
  - name: settings
    configMap: {name: {{ include "rewardstream.fullname" .root }}-settings}
  - name: secrets
    projected:
      defaultMode: 0440
      sources: {{ include "rewardstream.secretSources" . | fromYamlArray | toJson }}
  - {name: tmp, emptyDir: {}}
  - {name: prepared, emptyDir: {}}
  {{- if has .service $needs.runs }}
  - name: runs
    persistentVolumeClaim: {claimName: {{ $values.storage.runs.existingClaim | default (printf "%s-runs" (include "rewardstream.fullname" .root)) }}}
  {{- else }}
  - {name: runs, emptyDir: {}}
  {{- end }}
  {{- with .values.sharedMemory }}
  - {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ . }}}}
  {{- end }}
  {{- range $place := list "models" "data" }}
  {{- $storage := index $values.storage $place }}
  {{- if and $storage.existingClaim (has $.service (index $needs $place)) }}
  - name: {{ $place }}
    persistentVolumeClaim: {claimName: {{ $storage.existingClaim }}, readOnly: true}
  {{- end }}
  {{- end }}
  {{- with include "rewardstream.own" (dict "root" .root "values" .values "key" "volumes") }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Sources of the volume with the secrets: names of existing Secrets, and which of their keys. */}}
{{- define "rewardstream.secretSources" -}}
{{- $needs := include "rewardstream.needs" .root | fromYaml -}}
{{- $values := .root.Values -}}
{{- $kafka := include "rewardstream.kafka" .root | fromJson -}}
{{- $user := include "rewardstream.kafkaUser" (dict "root" .root "service" .kafkaService) | fromJson -}}
{{- if $kafka.password }}
- secret: {name: {{ $user.secret }}, items: [{key: {{ $values.kafka.passwordKey }}, path: kafka-password}]}
{{- end }}
{{- if $kafka.certificate }}
- secret: {name: {{ $user.secret }}, items: [{key: {{ $values.kafka.certificateKey }}, path: kafka.crt}, {key: {{ $values.kafka.privateKeyKey }}, path: kafka.key}]}
{{- end }}
{{- if and $kafka.tls $kafka.ca.name }}
- secret: {name: {{ $kafka.ca.name }}, items: [{key: {{ $kafka.ca.key }}, path: kafka-ca.crt}]}
{{- end }}
{{- if has .service $needs.database }}
{{- with $values.database.passwordSecret }}{{ if .name }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: database-password}]}
{{- end }}{{ end }}
{{- with $values.database.caSecret }}{{ if .name }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: database-ca.crt}]}
{{- end }}{{ end }}
{{- end }}
{{- with $values.secrets.signingKey }}{{ if and .name (has $.service $needs.signingKey) }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: signing-key}]}
{{- end }}{{ end }}
{{- with $values.secrets.judgeApiKey }}{{ if and .name (has $.service $needs.judgeApiKey) }}
- secret: {name: {{ .name }}, items: [{key: {{ .key }}, path: judge-api-key}]}
{{- end }}{{ end }}
{{- end }}

{{/* /readyz answers 200 once a service works, which may take long: a model is loaded, a broker waited for. /healthz
answers from the start, from a thread of its own; a process that does not answer for a minute is started again. */}}
{{- define "rewardstream.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 5
  failureThreshold: 60 # imports, and nothing else: five minutes on a busy node
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "rewardstream.resources" -}}
{{- $resources := deepCopy (.values.resources | default dict) -}}
{{- if .values.gpus -}}
{{- $limits := mergeOverwrite (dict .root.Values.gpuResource .values.gpus) ($resources.limits | default dict) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{/* The one container of a service. Arguments: root, values, service; command and args if they are not `serve SERVICE`. */}}
{{- define "rewardstream.serviceContainer" -}}
{{- $context := merge (dict "kafkaService" .service) . -}}
- name: {{ .service }}
  image: {{ include "rewardstream.image" (dict "root" .root "image" .values.image) | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  {{- with .command }}
  command: {{ toJson . }}
  {{- end }}
  args: {{ toJson (.args | default (list "serve" .service "--settings-file" (include "rewardstream.settingsFile" .root))) }}
  ports: [{name: metrics, containerPort: 9464}]
  {{- include "rewardstream.env" $context | nindent 2 }}
  {{- include "rewardstream.probes" . | nindent 2 }}
  resources:
    {{- include "rewardstream.resources" . | nindent 4 }}
  securityContext:
    {{- include "rewardstream.containerSecurity" . | nindent 4 }}
  {{- include "rewardstream.mounts" $context | nindent 2 }}
{{- end }}

{{- define "rewardstream.settingsFile" -}}
{{ with .Values.recipe }}{{ . }},{{ end }}/etc/rewardstream/settings.toml
{{- end }}
