{{/* The run's settings as one TOML file: `settings`, and what the other values say, which wins. */}}

{{- define "rewardstream.settings" -}}
{{- $kafka := include "rewardstream.kafka" . | fromJson -}}
{{- $secrets := "/run/secrets/rewardstream" -}}
{{- $broker := dict "kind" "cluster" "bootstrap_servers" $kafka.bootstrapServers "max_message_bytes" .Values.topics.maxMessageBytes -}}
{{- $security := dict "protocol" $kafka.protocol -}}
{{- if and $kafka.tls $kafka.ca.name -}}{{- $_ := set $security "ca_file" (printf "%s/kafka-ca.crt" $secrets) -}}{{- end -}}
{{- if $kafka.certificate -}}
{{- $_ := set $security "certificate_file" (printf "%s/kafka.crt" $secrets) -}}
{{- $_ := set $security "key_file" (printf "%s/kafka.key" $secrets) -}}
{{- end -}}
{{- if $kafka.password -}}
{{- $_ := set $security "mechanism" $kafka.mechanism -}}
{{- $_ := set $security "password_file" (printf "%s/kafka-password" $secrets) -}}
{{- end -}}
{{- $_ := set $broker "security" $security -}}
{{- if not .Values.database.url -}}
{{- fail "database.url is empty: give postgresql+psycopg://USER@HOST:PORT/DATABASE" -}}
{{- end -}}
{{- $database := dict "url" .Values.database.url -}}
{{- if .Values.database.passwordSecret.name -}}{{- $_ := set $database "password_file" (printf "%s/database-password" $secrets) -}}{{- end -}}
{{- $own := dict
  "run" (dict "id" (include "rewardstream.runId" .) "folder" "/var/lib/rewardstream/runs" "prepared" "/var/lib/rewardstream/prepared")
  "topics" (dict "prefix" (include "rewardstream.prefix" .) "partitions" .Values.topics.partitions "replication" .Values.topics.replication "retention_hours" .Values.topics.retentionHours "compression" .Values.topics.compression)
  "broker" $broker
  "database" $database
  "metrics" (dict "host" "0.0.0.0" "port" 9464) -}}
{{- $learner := dict -}}
{{- if .Values.learner.gpus -}}{{- $_ := set $learner "processes" (mul .Values.learner.nodes .Values.learner.gpus) -}}{{- end -}}
{{- if .Values.storage.publishTo -}}{{- $_ := set $learner "publish_to" .Values.storage.publishTo -}}{{- end -}}
{{- if $learner -}}{{- $_ := set $own "learner" $learner -}}{{- end -}}
{{- if .Values.secrets.signingKey.name -}}
{{- $_ := set $own "weights" (dict "signing_key_file" (printf "%s/signing-key" $secrets)) -}}
{{- end -}}
{{- $genrm := dict -}}
{{- if .Values.secrets.judgeApiKey.name -}}{{- $_ := set $genrm "api_key_file" (printf "%s/judge-api-key" $secrets) -}}{{- end -}}
{{- if .Values.judge.enabled -}}
{{- $_ := set $genrm "backend" "openai" -}}
{{- $_ := set $genrm "endpoint" (printf "http://%s-judge:8000/v1" (include "rewardstream.fullname" .)) -}}
{{- $_ := set $genrm "model" (required "judge.model is empty: give the judge's folder or name" .Values.judge.model) -}}
{{- end -}}
{{- if $genrm -}}{{- $_ := set $own "genrm" $genrm -}}{{- end -}}
{{- mergeOverwrite (deepCopy .Values.settings) $own | toJson -}}
{{- end }}

{{- define "rewardstream.toml" -}}
{{- include "rewardstream.tomlLines" (dict "path" "" "value" (include "rewardstream.settings" . | fromJson)) -}}
{{- end }}

{{/* A line a leaf, `a.b = value`. JSON's texts, numbers, and lists of them are TOML's; Helm's own toToml would turn whole
numbers into fractions. Arguments: path, value (a map). */}}
{{- define "rewardstream.tomlLines" -}}
{{- $path := .path -}}
{{- range $key, $value := .value -}}
{{- $name := regexMatch "^[A-Za-z0-9_-]+$" $key | ternary $key (toJson $key) -}}
{{- $full := ternary (printf "%s.%s" $path $name) $name (ne $path "") -}}
{{- if and (kindIs "map" $value) $value -}}
{{- include "rewardstream.tomlLines" (dict "path" $full "value" $value) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{ $full }} = {{ toJson $value }}
{{ end -}}
{{- end -}}
{{- end }}
