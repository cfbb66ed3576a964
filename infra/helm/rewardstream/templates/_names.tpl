{{/* Names, labels, and the values of Kafka that follow from others. Names carry the release, so runs stay apart. */}}

{{- define "rewardstream.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "rewardstream.runId" -}}
{{ .Values.run.id | default .Release.Name }}
{{- end }}

{{- define "rewardstream.prefix" -}}
{{ .Values.run.topicPrefix | default (include "rewardstream.runId" .) }}
{{- end }}

{{- define "rewardstream.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rewardstream.labels" -}}
{{ include "rewardstream.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: rewardstream
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Argument: the image's values. */}}
{{- define "rewardstream.image" -}}
{{- $image := mergeOverwrite (deepCopy .root.Values.image) (.image | default dict) -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "rewardstream.strimziCluster" -}}
{{ .Values.strimzi.cluster.name | default (include "rewardstream.fullname" .) }}
{{- end }}

{{/* Kafka's address and security as JSON. Strimzi's users are SCRAM-SHA-512 over TLS; its listener of the port 9093. */}}
{{- define "rewardstream.kafka" -}}
{{- $kafka := pick .Values.kafka "bootstrapServers" "protocol" "mechanism" -}}
{{- $ca := deepCopy .Values.kafka.caSecret -}}
{{- if .Values.strimzi.users.create -}}
{{- $cluster := include "rewardstream.strimziCluster" . -}}
{{- $kafka = dict "protocol" "SASL_SSL" "mechanism" "SCRAM-SHA-512" "bootstrapServers" (.Values.kafka.bootstrapServers | default (printf "%s-kafka-bootstrap:9093" $cluster)) -}}
{{- if not $ca.name -}}{{- $_ := set $ca "name" (printf "%s-cluster-ca-cert" $cluster) -}}{{- end -}}
{{- else if .Values.strimzi.cluster.create -}}
{{- fail "strimzi.cluster.create makes a cluster that asks who its clients are: set strimzi.users.create, too" -}}
{{- end -}}
{{- if not $kafka.bootstrapServers -}}
{{- fail "kafka.bootstrapServers is empty: give HOST:PORT of the brokers, or set strimzi.cluster.create and strimzi.users.create" -}}
{{- end -}}
{{- $tls := has $kafka.protocol (list "SSL" "SASL_SSL") -}}
{{- $sasl := has $kafka.protocol (list "SASL_PLAINTEXT" "SASL_SSL") -}}
{{- $password := and $sasl (ne $kafka.mechanism "") -}}
{{- dict "bootstrapServers" $kafka.bootstrapServers "protocol" $kafka.protocol "mechanism" $kafka.mechanism "tls" $tls "sasl" $sasl "password" $password "certificate" (eq $kafka.protocol "SSL") "ca" $ca | toJson -}}
{{- end }}

{{/* The user of a service at Kafka, and its Secret, as JSON. Arguments: root, service. */}}
{{- define "rewardstream.kafkaUser" -}}
{{- $default := printf "%s-%s" (include "rewardstream.fullname" .root) .service -}}
{{- $given := index .root.Values.kafka.users .service | default dict -}}
{{- dict "name" ($given.username | default $default) "secret" ($given.secret | default $default) | toJson -}}
{{- end }}

{{/* Part of a Job's name: a Job cannot be changed, so another one of other settings has another name. */}}
{{- define "rewardstream.digest" -}}
{{- printf "%s %s" (include "rewardstream.toml" .root) (toJson (list .values .root.Values.image .root.Values.pods .root.Values.recipe .root.Chart.AppVersion)) | sha256sum | trunc 8 -}}
{{- end }}
