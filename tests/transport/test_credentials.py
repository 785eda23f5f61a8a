"""Tokens that expire and accounts that sign.  Nothing here asks the network."""

from __future__ import annotations

import asyncio
import builtins
import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import boto3
import botocore.auth
import botocore.credentials
import google.auth
import google.auth.exceptions
import google.oauth2.credentials
import pytest
from transport_kit import REQUEST, Server, answer, serving, session

from fallbackio import _aws
from fallbackio.clock import wall
from fallbackio.dialects import DIALECTS
from fallbackio.endpoint import Endpoint, TokenSource
from fallbackio.errors import AuthFailed, ConfigError
from fallbackio.testing import virtual_time
from fallbackio.transport import HttpProvider, credentials_for
from fallbackio.transport._aws_account import AwsAccount
from fallbackio.transport._bearer import TOKEN_TTL_S, Bearer, Token, Vouched
from fallbackio.transport._google_account import MARGIN_S, UNDATED_S, GoogleAccount

AWS = "https://bedrock-runtime.us-east-1.amazonaws.com"
URL = f"{AWS}/model/us.amazon.nova-lite-v1%3A0/converse"


async def ask(credentials: Any) -> Mapping[str, str]:
    return (await vouched(credentials)).headers


async def vouched(credentials: Any) -> Vouched:
    given: Vouched = await credentials.vouch(URL, b"{}")
    return given


class Source:
    """Gives `token-1`, `token-2`, …, each after `wait_s`, or raises what `fails` says."""

    def __init__(self, wait_s: float = 0.0, fails: Exception | None = None) -> None:
        self.asked = 0
        self.wait_s = wait_s
        self.fails = fails

    async def __call__(self) -> str:
        self.asked += 1
        number = self.asked
        await anyio.sleep(self.wait_s)
        if self.fails is not None:
            raise self.fails
        return f"token-{number}"

    async def bound(self) -> str:
        return await self()


@virtual_time
async def test_a_token_is_kept_for_a_minute() -> None:
    """The source is asked once a minute, not once a request."""
    source = Source()
    token = Token(source.bound)

    said = [await ask(token), await ask(token)]
    await anyio.sleep(TOKEN_TTL_S - 0.01)
    said.append(await ask(token))
    await anyio.sleep(0.02)
    said.append(await ask(token))

    assert ["Bearer token-1"] * 3 + ["Bearer token-2"] == [headers["Authorization"] for headers in said]


@virtual_time
async def test_one_asks_for_all() -> None:
    """Requests that come while a token is asked for wait for it, and ask no more."""
    source = Source(wait_s=1)
    token = Token(source.bound)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask, token)

    assert 1 == source.asked
    assert pytest.approx(1.0) == anyio.current_time()


@virtual_time
async def test_a_failure_is_shared() -> None:
    """Who waited for a source that failed fails with it; who comes later asks anew."""
    source = Source(wait_s=1, fails=OSError("down"))
    token = Token(source.bound)
    failed: list[float] = []

    async def one() -> None:
        with pytest.raises(AuthFailed, match="token= raised OSError"):
            await ask(token)
        failed.append(anyio.current_time())

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one)
    source.fails = None

    assert [pytest.approx(1.0)] * 5 == failed
    assert 1 == source.asked
    assert "Bearer token-2" == (await ask(token))["Authorization"]


@virtual_time
async def test_a_cancelled_request_leaves_the_question_to_the_next() -> None:
    """The one that asks may be cut; another that waits asks in its place."""
    source = Source(wait_s=1)
    token = Token(source.bound)
    got: list[str] = []

    async def one(patience_s: float) -> None:
        with anyio.move_on_after(patience_s):
            got.append((await ask(token))["Authorization"])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, 0.5)
        await anyio.sleep(0.1)
        tasks.start_soon(one, 9)
        tasks.start_soon(one, 9)

    assert ["Bearer token-2"] * 2 == got
    assert pytest.approx(1.5) == anyio.current_time()


@virtual_time
async def test_a_source_that_cancels_itself() -> None:
    """An SDK's own cancelled task is a failure; it does not look as if we had been cancelled."""

    async def source() -> str:
        raise asyncio.CancelledError

    with pytest.raises(AuthFailed, match="CancelledError"):
        await ask(Token(source))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "gave NoneType"),
        ("", "gave str"),
        (" \n", "gave str"),
        (b"token", "gave bytes"),
        (5, "gave int"),
        ("to\nken", "cannot stand in a header"),
        ("tökén", "cannot stand in a header"),
    ],
    ids=repr,
)
@virtual_time
async def test_what_is_no_token(given: Any, said: str) -> None:
    """A source that gives no token is an `AuthFailed` that shows nothing of it."""

    async def source() -> Any:
        return given

    with pytest.raises(AuthFailed, match=said) as raised:
        await ask(Token(source))

    assert "ken" not in str(raised.value).replace("token", "")


@virtual_time
async def test_a_source_that_raises() -> None:
    """What a source raises is the cause of an `AuthFailed`, whose text shows only its class."""
    own = ValueError("secret-0123456789")

    with pytest.raises(AuthFailed, match="token= raised ValueError") as raised:
        await ask(Token(Source(fails=own).bound))

    assert own is raised.value.__cause__
    assert "secret" not in str(raised.value)


def _plain() -> str:
    return " token-1\n"


def _lazy() -> Any:
    return Source()()


def _angry() -> str:
    raise PermissionError("no")


@pytest.mark.parametrize(
    "source", [_plain, _lazy, Source()], ids=["plain", "gives an awaitable", "async object"]
)
def test_kinds_of_sources(source: TokenSource) -> None:
    """A plain function, one that gives an awaitable, and an async object are all asked as they want."""
    assert {"Authorization": "Bearer token-1"} == asyncio.run(_asked(Token(source)))


def test_a_plain_source_that_raises() -> None:
    """A failure in the thread is an `AuthFailed` as well."""
    with pytest.raises(AuthFailed, match="PermissionError"):
        asyncio.run(_asked(Token(_angry)))


async def _asked(credentials: Any) -> Mapping[str, str]:
    return await ask(credentials)


@virtual_time
async def test_secrets() -> None:
    """The latest two tokens may not be quoted; a stand-in of three letters may."""
    token = Token(Source().bound)
    seen = [token.secrets]
    for _ in range(3):
        given = await vouched(token)
        seen.append(token.secrets)
        token.renew(given.by)

    async def short() -> str:
        return "x"

    stand_in = Token(short)
    await ask(stand_in)
    assert [(), ("token-1",), ("token-2", "token-1"), ("token-3", "token-2")] == seen
    assert () == stand_in.secrets


@virtual_time
async def test_refusals_that_come_late_cost_the_new_token_nothing() -> None:
    """Twenty calls under way with a token that ends are refused one after another and ask for one other."""
    source = Source(wait_s=0.3)
    token = Token(source.bound)
    used: list[str] = []

    async def call(answered_after_s: float) -> None:
        first = await vouched(token)
        await anyio.sleep(answered_after_s)
        assert token.renew(first.by)
        used.append((await ask(token))["Authorization"])

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(call, 1 + number)

    assert ["Bearer token-2"] * 20 == used
    assert 2 == source.asked


def test_a_source_that_hangs_holds_one_thread() -> None:
    """Calls that give up on a plain function that hangs start no other thread; its late answer counts."""
    release = threading.Event()
    started: list[str] = []

    def source() -> str:
        started.append(threading.current_thread().name)
        release.wait(30)
        return "late"

    async def run() -> str:
        token = Token(source)
        for _ in range(5):
            with anyio.move_on_after(0.01):
                await ask(token)
        said: list[str] = []

        async def one() -> None:
            said.append((await ask(token))["Authorization"])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            release.set()
        return said[0]

    assert "Bearer late" == asyncio.run(run())
    assert 1 == len(started)


def asking(server: Server, of: Any, token: TokenSource) -> HttpProvider:
    spec = Endpoint("m", base_url=server.url, token=token)
    return HttpProvider(spec, DIALECTS["openai"], of, credentials_for(spec, "static"))


@pytest.mark.parametrize(("status", "tries"), [(401, 2), (403, 2), (429, 1)])
@virtual_time
async def test_a_refused_token_is_renewed_once(status: int, tries: int) -> None:
    """After a 401 or 403 one other token is tried; the second refusal is an error like any other."""
    refusal = answer(b'{"error": {"message": "the token-1 or token-2 is bad"}}', status=status)
    source = Source()
    async with serving(refusal) as server, session() as of:
        provider = asking(server, of, source.bound)
        with pytest.raises(Exception, match=str(status)) as raised:
            await provider.complete(REQUEST)

    said = [head.split(b"Authorization: ")[1].split(b"\r\n")[0] for head, _ in server.requests]
    assert [b"Bearer token-%d" % (n + 1) for n in range(tries)] == said
    assert tries == source.asked
    assert "token-1" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "kind", "expected"),
    [
        ({"api_key": "k"}, "static", type(None)),
        ({}, "static", type(None)),
        ({"api_key": "k"}, "aws", type(None)),
        ({"token": _plain}, "static", Token),
        ({"token": _plain}, "google", Token),
        ({"token": _plain, "api_key": "k"}, "aws", Token),
        ({}, "google", GoogleAccount),
        ({}, "aws", AwsAccount),
    ],
)
def test_who_vouches(settings: Any, kind: Any, expected: type) -> None:
    """A token goes before a key, a key before an account."""
    assert expected is type(credentials_for(Endpoint("m", base_url=AWS, **settings), kind))


@pytest.mark.parametrize(
    ("kind", "library", "extra"), [("aws", "botocore", "bedrock"), ("google", "google", "vertex")]
)
def test_a_missing_extra(kind: Any, library: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its library an account is a `ConfigError` when the chain is built, with the mend."""
    real = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigError, match=rf'^ours: .*pip install "fallbackio\[{extra}\]"'):
        credentials_for(Endpoint("m", name="ours", base_url=AWS), kind)


# Google

NO_ACCOUNT: Exception = google.auth.exceptions.DefaultCredentialsError("none")  # type: ignore[no-untyped-call]
EXPIRED: Exception = google.auth.exceptions.RefreshError("expired")  # type: ignore[no-untyped-call]


class Login(google.oauth2.credentials.Credentials):
    """An account that needs no network."""

    def __init__(self, *, lasts_s: float | None = 3600.0, fails: Exception | None = None) -> None:
        super().__init__(None, quota_project_id="billed")  # type: ignore[no-untyped-call]
        self.asked = 0
        self._lasts_s = lasts_s
        self._fails = fails

    def refresh(self, request: object) -> None:
        self.asked += 1
        if self._fails is not None:
            raise self._fails
        self.token = f"ya29-{self.asked}"
        now = datetime.fromtimestamp(wall(), UTC).replace(tzinfo=None)  # as google-auth has it
        self.expiry = None if self._lasts_s is None else now + timedelta(seconds=self._lasts_s)


def logged_in(monkeypatch: pytest.MonkeyPatch, login: Login) -> list[Any]:
    """The scopes that the account was asked for."""
    scopes: list[Any] = []

    def default(**asked: Any) -> tuple[Login, str]:
        scopes.append(asked["scopes"])
        return login, "project"

    monkeypatch.setattr(google.auth, "default", default)
    return scopes


@pytest.mark.parametrize(
    ("lasts_s", "kept_s"), [(3600.0, 3600.0 - MARGIN_S), (None, UNDATED_S), (10.0, 0.0)], ids=str
)
def test_googles_token(monkeypatch: pytest.MonkeyPatch, lasts_s: float | None, kept_s: float) -> None:
    """A token is kept until a minute before its end, and its quota project goes along."""
    login = Login(lasts_s=lasts_s)
    scopes = logged_in(monkeypatch, login)

    async def run() -> tuple[list[Mapping[str, str]], float]:
        account = GoogleAccount()
        said = [await ask(account), await ask(account)]
        return said, account._until - asyncio.get_running_loop().time()

    said, left_s = asyncio.run(run())

    assert {"Authorization": "Bearer ya29-1", "x-goog-user-project": "billed"} == said[0]
    assert [("https://www.googleapis.com/auth/cloud-platform",)] == scopes
    assert (1 if kept_s else 2) == login.asked
    assert pytest.approx(kept_s, abs=2) == max(left_s, 0.0)


def test_googles_account_is_looked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused token makes us read the login again, which may have been renewed."""
    login = Login()
    scopes = logged_in(monkeypatch, login)

    async def run() -> list[str]:
        account = GoogleAccount()
        first = await vouched(account)
        said = [first.headers["Authorization"]]
        for _ in range(3):  # refusals that come late, of the first token
            assert account.renew(first.by)
            said.append((await ask(account))["Authorization"])
        return said

    assert ["Bearer ya29-1", *["Bearer ya29-2"] * 3] == asyncio.run(run())
    assert 2 == len(scopes)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NO_ACCOUNT,
            "no Google Cloud account was found: run `gcloud",
        ),
        (EXPIRED, r"no token \(RefreshError\): run `gcloud"),
        (OSError("disk"), r"no token \(OSError\)"),
    ],
    ids=["none", "expired", "disk"],
)
def test_no_google_account(monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    """Without an account the error says what to run."""
    logged_in(monkeypatch, Login(fails=error))

    with pytest.raises(AuthFailed, match=said):
        asyncio.run(_asked(GoogleAccount()))


# AWS


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """An environment without AWS; what is given becomes the shared credentials file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    def write(text: str) -> None:
        (tmp_path / "credentials").write_text(text, encoding="utf-8")

    return write


def profile(key: str) -> str:
    return (
        f"[default]\naws_access_key_id={key}\naws_secret_access_key=secret-{key}\n"
        f"aws_session_token=token-{key}\n"
    )


def account(base_url: str = AWS, **settings: Any) -> AwsAccount:
    return AwsAccount(Endpoint("m", base_url=base_url, **settings))


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime.eu-central-1.api.aws", "eu-central-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1b.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
        ("Bedrock-Runtime.US-EAST-1.amazonaws.com:443", "us-east-1"),
        ("bedrock.us-east-1.amazonaws.com", None),
        ("bedrock-runtime.amazonaws.com", None),
        ("127.0.0.1:8000", None),
    ],
)
def test_regions(host: str, region: str | None) -> None:
    """The region is read from the host in all its forms, or nothing is."""
    assert region == _aws.region_of(f"https://{host}/model/m/converse")


def test_a_host_that_cannot_be_signed_for() -> None:
    """Another host is refused when the chain is built, with both ways out."""
    with pytest.raises(ConfigError, match=r"^ours: .*bedrock-runtime\.REGION\.amazonaws\.com.*api_key"):
        credentials_for(Endpoint("m", name="ours", base_url="http://127.0.0.1:8000"), "aws")


def signature(url: str, body: bytes, headers: Mapping[str, str], secret: str) -> str:
    """The signature by AWS's description of it, without any library of theirs."""
    parts = urlsplit(url)
    named = sorted({"host": parts.netloc, **{name.lower(): text for name, text in headers.items()}}.items())
    names = ";".join([name for name, _ in named])
    canonical = "\n".join(
        [
            "POST",
            quote(parts.path, safe="/-_.~"),
            "",
            *[f"{name}:{text}" for name, text in named],
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    stamp = dict(named)["x-amz-date"]
    scope = f"{stamp[:8]}/us-east-1/bedrock/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signed = hmac.new(
        key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), hashlib.sha256
    ).hexdigest()
    return f"{scope}, SignedHeaders={names}, Signature={signed}"


@pytest.mark.parametrize(
    "path",
    [
        "/model/us.amazon.nova-lite-v1%3A0/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fx/converse-stream",
    ],
    ids=["id", "ARN"],
)
def test_signatures_are_right(aws: Callable[[str], None], path: str) -> None:
    """What we send verifies by AWS's own rules, the path encoded twice and all our headers signed."""
    aws(profile("AKID"))
    url, body = AWS + path, b'{"messages":[]}'
    signer = account(headers={"X-Team": "red"})

    async def run() -> Mapping[str, str]:
        return (await signer.vouch(url, body)).headers

    said = asyncio.run(run())

    sent = {name: text for name, text in said.items() if name != "Authorization"}
    headers = {"content-type": "application/json", "x-team": "red", **sent}
    assert {"X-Amz-Date", "X-Amz-Security-Token", "Authorization"} == {*said}
    assert (
        f"AWS4-HMAC-SHA256 Credential=AKID/{signature(url, body, headers, 'secret-AKID')}"
        == (said["Authorization"])
    )
    assert ("secret-AKID", "token-AKID", "AKID") == signer.secrets


def test_the_same_signature_as_boto3s(monkeypatch: pytest.MonkeyPatch) -> None:
    """At one instant, boto3's client and we sign one request alike."""
    noon = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: noon)
    theirs: list[Any] = []

    class Caught(Exception):
        pass

    def catch(request: Any, **_: Any) -> None:
        theirs.append(request)
        raise Caught

    client = boto3.Session("AKID", "secret", "token", region_name="us-east-1").client("bedrock-runtime")
    client.meta.events.register("before-send.bedrock-runtime.Converse", catch)
    with pytest.raises(Caught):
        client.converse(
            modelId="us.amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "Hi"}]}]
        )
    client.close()
    headers = {name.lower(): _str(text) for name, text in theirs[0].headers.items()}
    named = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    given = {name: headers[name] for name in named if name != "host" and not name.startswith("x-amz-")}
    keys = _aws.Keys(botocore.credentials.ReadOnlyCredentials("AKID", "secret", "token"))

    ours = _aws.signed(theirs[0].url, theirs[0].body, given, "us-east-1", keys)

    assert URL == theirs[0].url
    assert headers["authorization"] == ours["Authorization"]


def _str(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)


def test_no_aws_credentials(aws: Callable[[str], None]) -> None:
    """Without credentials the error names the ways to have some."""
    with pytest.raises(AuthFailed, match=r"AWS_ACCESS_KEY_ID.*AWS_PROFILE.*aws sso login.*api_key"):
        asyncio.run(_asked(account()))


def test_a_profile_that_is_not_there(aws: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore cannot load is an `AuthFailed` that says where to look."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(AuthFailed, match=r"ProfileNotFound.*AWS_PROFILE"):
        asyncio.run(_asked(account()))


def credential(headers: Mapping[str, str]) -> str:
    return headers["Authorization"].split("Credential=")[1].split("/")[0]


def test_renewed_credentials(aws: Callable[[str], None]) -> None:
    """Refused credentials are read from disk again, where `aws sso login` and its like write them."""
    aws(profile("OLD"))

    async def run() -> list[str]:
        signer = account()
        old = await vouched(signer)
        said = [credential(old.headers)]
        aws(profile("NEW"))
        said.append(credential(await ask(signer)))
        assert signer.renew(old.by)
        said.append(credential(await ask(signer)))
        aws(profile("NEWEST"))
        assert signer.renew(old.by), "there are others by now"
        return [*said, credential(await ask(signer))]

    assert ["OLD", "OLD", "NEW", "NEW"] == asyncio.run(run())


def test_credentials_of_the_environment(aws: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment do not change, so a refusal is not tried again."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    async def run() -> tuple[str, bool]:
        signer = account()
        said = await vouched(signer)
        assert "X-Amz-Security-Token" not in said.headers
        return credential(said.headers), signer.renew(said.by)

    assert ("ENV", False) == asyncio.run(run())


def test_temporary_credentials_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials near their end are refreshed, by one request for all."""
    loads: list[int] = []

    def refresh() -> dict[str, str]:
        loads.append(1)
        ends = datetime.now().astimezone() + timedelta(hours=1)
        return {
            "access_key": f"ROLE{len(loads)}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": ends.isoformat(),
        }

    role = botocore.credentials.DeferredRefreshableCredentials(refresh, "assume-role")
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda self: role)

    async def run() -> list[str]:
        signer = account()
        said: list[str] = []

        async def one() -> None:
            said.append(credential(await ask(signer)))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(one)
        role._expiry_time = datetime.now().astimezone() + timedelta(minutes=1)
        await one()
        return said

    assert ["ROLE1"] * 4 + ["ROLE2"] == asyncio.run(run())


@virtual_time
async def test_an_issuers_grant_without_time() -> None:
    """A grant that holds for no time serves the request that asked for it."""
    from fallbackio.transport._bearer import Grant

    async def issue() -> Grant:
        return Grant({"Authorization": "Bearer x"}, "secret", 0.0)

    assert {"Authorization": "Bearer x"} == await ask(Bearer(issue))
