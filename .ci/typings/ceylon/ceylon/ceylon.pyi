import asyncio
import enum
import threading
from collections.abc import Sequence

class InternalError(Exception): ...

class _UniffiHandleMap:
    _map: dict[int, object]
    _lock: threading.Lock

class _UniffiConverterTypeProcessor:
    _handle_map: _UniffiHandleMap

class PeerMode(enum.Enum):
    ADMIN = 0
    CLIENT = 1

class AgentDetail:
    name: str
    id: str
    role: str
    extra_data: bytes | None
    def __init__(self, *, name: str, id: str, role: str, extra_data: bytes | None) -> None: ...

class UnifiedAgentConfig:
    def __init__(
        self,
        *,
        name: str,
        mode: PeerMode,
        role: str | None,
        work_space_id: str | None,
        port: int | None,
        admin_peer: str | None,
        admin_ip: str | None,
        buffer_size: int | None,
    ) -> None: ...

class UnifiedAgent:
    def __init__(
        self,
        config: UnifiedAgentConfig | None,
        config_path: str | None,
        on_message: object,
        processor: object,
        on_event: object,
        extra_data: bytes | None,
    ) -> None: ...
    def __del__(self) -> None: ...
    def _uniffi_clone_pointer(self) -> object: ...
    @classmethod
    def _make_instance_(cls, pointer: object) -> UnifiedAgent: ...
    def details(self) -> AgentDetail: ...
    async def broadcast(self, message: bytes) -> None: ...
    async def send_direct(self, to_peer: str, message: bytes) -> None: ...
    async def get_connected_agents(self) -> list[AgentDetail]: ...
    async def start(self, inputs: bytes, workers: Sequence[UnifiedAgent] | None) -> None: ...
    async def stop(self) -> None: ...

def uniffi_set_event_loop(eventloop: asyncio.AbstractEventLoop) -> None: ...
