"""A credential in a Kubernetes cluster of the operator's: a service account whose token Northflank holds."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rotator.settings.section import AbsolutePath, Endpoint, Form, ProviderSettings, Section, key_in_use, or_unmanaged

_DNS_LABEL = Form(
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "a namespace: small letters, digits and hyphens, like northflank"
)
_ACCOUNT = Form(
    r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
    "a service account's name: small letters, digits, hyphens and dots, like northflank",
)
_UID = Form(
    r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "the uid of a Secret, like 0f8fad5b-d9cb-469f-a165-70867728950e",
)


class ByokSection(Section):
    """The service account, and how rotator itself reaches the cluster."""

    kubeconfig: AbsolutePath | None = Field(
        None, description="rotator's own kubeconfig; null: the pod's service account, or KUBECONFIG."
    )
    context: str | None = Field(None, min_length=1, description="The context in it; null: its current one.")
    namespace: Annotated[str, _DNS_LABEL] = Field(description="The service account's namespace.")
    service_account: Annotated[str, _ACCOUNT] = Field(description="The service account's name.")
    token: Literal["bound", "secret"] = Field(
        "bound", description="bound: a token that ends, bound to a Secret of its own; secret: a token Secret, endless."
    )
    server: Endpoint | None = Field(
        None, description="The cluster's address as Northflank reaches it; null: as rotator does."
    )
    ca_file: AbsolutePath | None = Field(
        None, description="The CA of `server`, for the kubeconfig that Northflank gets; null: as rotator's own."
    )


class ByokSettings(ProviderSettings):
    """A service account in a Kubernetes cluster whose token Northflank holds in a kubeconfig."""

    slots: ClassVar[int | None] = None
    draft: ClassVar[str] = """\
    byok:
      namespace: northflank  # TODO: the namespace of the service account whose token Northflank holds
      service_account: todo-{name}  # TODO: its name
"""

    current_key: Annotated[str, or_unmanaged(_UID)] | None = key_in_use(
        "The uid of the Secret whose token Northflank holds now"
    )
    byok: ByokSection = Field(description="The service account, and how rotator itself reaches the cluster.")

    @property
    def principal(self) -> tuple[str | None, ...]:
        """The service account in the cluster, as far as the config names that."""
        byok = self.byok
        return byok.kubeconfig, byok.context, byok.server, byok.namespace, byok.service_account
