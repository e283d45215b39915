"""A real Keycloak that `hack/keycloak.sh` runs, and a realm in it with people who can log in."""

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from controller.local.site import free_port

SCRIPT = Path(__file__).parents[1] / "hack" / "keycloak.sh"
START_SECONDS = 400  # it may have to be fetched and built
REALM = "agents"
AUDIENCE = "k8gentai"
BRIEF_SECONDS = 3


@dataclass
class Keycloak:
    """The server at `url`, with the realm `agents`.

    Shape:
        cli    a public client whose users' tokens are for `AUDIENCE`; `brief` is another one, whose
               tokens live for `BRIEF_SECONDS`, and those of `elsewhere` are for somebody else.
    """

    url: str
    password: str
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{REALM}"

    def make_realm(self) -> None:
        self.admin("POST", "/admin/realms", {"realm": REALM, "enabled": True})
        audience = {
            "name": "audience",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": AUDIENCE, "access.token.claim": "true"},
        }
        lifespan = {"access.token.lifespan": str(BRIEF_SECONDS)}
        for client, mappers, attributes in (
            ("cli", [audience], {}),
            ("brief", [audience], lifespan),
            ("elsewhere", [], {}),
        ):
            body = {
                "clientId": client,
                "enabled": True,
                "publicClient": True,
                "directAccessGrantsEnabled": True,
                "protocolMappers": mappers,
                "attributes": attributes,
            }
            self.admin("POST", f"/admin/realms/{REALM}/clients", body)

    def add_user(self, name: str) -> None:
        self.passwords[name] = secrets.token_urlsafe()
        body = {
            "username": name,
            "enabled": True,
            "email": f"{name}@example.org",
            "emailVerified": True,
            "firstName": name,
            "lastName": name,
            "credentials": [{"type": "password", "value": self.passwords[name]}],
        }
        self.admin("POST", f"/admin/realms/{REALM}/users", body)

    def id_of(self, name: str) -> str:
        found = self.admin("GET", f"/admin/realms/{REALM}/users?exact=true&username={name}")
        return str(found[0]["id"])

    def disable(self, name: str) -> None:
        path = f"/admin/realms/{REALM}/users/{self.id_of(name)}"
        self.admin("PUT", path, {"enabled": False})

    def rotate(self) -> None:
        """Sign with another key from now on; the one before stays published."""
        component = {
            "name": secrets.token_hex(3),
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": ["1000"], "enabled": ["true"], "active": ["true"]},
        }
        self.admin("POST", f"/admin/realms/{REALM}/components", component)

    def log_in(self, name: str, client: str = "cli") -> dict[str, Any]:
        """What the token endpoint answers: `access_token`, `id_token`; or an error."""
        form = {
            "grant_type": "password",
            "client_id": client,
            "username": name,
            "password": self.passwords[name],
            "scope": "openid",
        }
        answer = httpx.post(f"{self.issuer}/protocol/openid-connect/token", data=form, timeout=30)
        found: dict[str, Any] = answer.json()
        return found

    def token(self, name: str, client: str = "cli") -> str:
        return str(self.log_in(name, client)["access_token"])

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        form = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": "admin",
            "password": self.password,
        }
        endpoint = f"{self.url}/realms/master/protocol/openid-connect/token"
        token = httpx.post(endpoint, data=form, timeout=30).raise_for_status().json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextlib.contextmanager
def running_keycloak(folder: Path) -> Iterator[Keycloak]:
    """Keycloak with its realm, for as long as the body runs."""
    port, password = free_port(), secrets.token_urlsafe()
    log = folder / "keycloak.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [SCRIPT, "run", str(port)],
            env=os.environ | {"KC_BOOTSTRAP_ADMIN_PASSWORD": password},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    keycloak = Keycloak(f"http://127.0.0.1:{port}", password)
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(keycloak):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)
        keycloak.make_realm()
        yield keycloak
    finally:
        process.terminate()
        process.wait(30)


def _answers(keycloak: Keycloak) -> bool:
    try:
        return httpx.get(f"{keycloak.url}/realms/master", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
