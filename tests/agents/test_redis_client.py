"""Is a Redis that is away waited for, and only one that refuses us an error? The latter: tests/system/test_secured.py."""

import pytest
from pydantic import SecretStr

from agents.redis_client import TROUBLE, asked, check_let_in, said
from agents.settings.servers import RedisSettings
from tests.system.server_process import free_port


def test_nothing_is_asked_where_no_redis_is_named() -> None:
    check_let_in(RedisSettings())


def test_a_redis_that_is_away_may_come_later_and_its_password_is_not_told() -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    away = RedisSettings(url=SecretStr(url), password=SecretStr("sword fish"))
    check_let_in(away)
    with pytest.raises(TROUBLE) as refused:
        asked(away)
    assert "Connection refused" in said(refused.value, away)
    address = said(ValueError(f"cannot use {away.address}"), away)
    assert address == f"cannot use {url}"
