{{/* rotator's identity in the clouds: tokens of this cluster, and the variables by which the SDKs find them. */}}

{{- define "rotator.tokens" -}}
{{- with .Values.identity }}
{{- if .aws.roleArn }}
- serviceAccountToken: {audience: sts.amazonaws.com, expirationSeconds: 3600, path: aws}
{{- end }}
{{- if .gcp.provider }}
- serviceAccountToken: {audience: "https://iam.googleapis.com/{{ .gcp.provider }}", expirationSeconds: 3600, path: gcp}
{{- end }}
{{- if .azure.clientId }}
- serviceAccountToken: {audience: "api://AzureADTokenExchange", expirationSeconds: 3600, path: azure}
{{- end }}
{{- end }}
{{- end }}

{{- define "rotator.environment" -}}
ROTATOR_CONFIG: /etc/rotator/rotator.yaml
{{- if eq .Values.mode "cronjob" }}
{{- /* Between two passes, an hour apart, no rotator looks at anything: that is no alarm. */}}
ROTATOR_POLICY__ALARM_AFTER: 3h
{{- end }}
{{- with .Values.identity }}
{{- if .aws.roleArn }}
AWS_ROLE_ARN: {{ .aws.roleArn | quote }}
AWS_WEB_IDENTITY_TOKEN_FILE: /run/secrets/identity/aws
AWS_ROLE_SESSION_NAME: rotator
AWS_EC2_METADATA_DISABLED: "true"
{{- end }}
{{- if .gcp.provider }}
GOOGLE_APPLICATION_CREDENTIALS: /etc/rotator/gcp-credentials.json
NO_GCE_CHECK: "true"
{{- end }}
{{- if .azure.clientId }}
AZURE_CLIENT_ID: {{ .azure.clientId | quote }}
AZURE_TENANT_ID: {{ required "identity.azure.tenantId goes with identity.azure.clientId" .azure.tenantId | quote }}
AZURE_FEDERATED_TOKEN_FILE: /run/secrets/identity/azure
AZURE_AUTHORITY_HOST: {{ .azure.authorityHost | quote }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.environment }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- define "rotator.gcpCredentials" -}}
{
  "type": "external_account",
  "audience": "//iam.googleapis.com/{{ .Values.identity.gcp.provider }}",
  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
  "token_url": "https://sts.googleapis.com/v1/token",
  "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{{ required "identity.gcp.serviceAccount goes with identity.gcp.provider" .Values.identity.gcp.serviceAccount }}:generateAccessToken",
  "credential_source": {"file": "/run/secrets/identity/gcp", "format": {"type": "text"}}
}
{{- end }}
