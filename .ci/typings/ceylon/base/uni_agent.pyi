from collections.abc import Sequence

from ..ceylon.ceylon import AgentDetail, PeerMode, UnifiedAgent
from .support import AgentCommon

class BaseAgent(UnifiedAgent, AgentCommon):
    name: str
    mode: PeerMode
    role: str
    port: int
    admin_peer: str
    admin_ip: str
    workspace_id: str
    buffer_size: int
    connected_agents: dict[str, AgentDetail]

    def __init__(
        self,
        name: str,
        mode: PeerMode,
        role: str = ...,
        port: int | None = ...,
        admin_peer: str | None = ...,
        admin_ip: str | None = ...,
        workspace_id: str = ...,
        buffer_size: int = ...,
        config_path: str | None = ...,
        extra_data: object = ...,
    ) -> None: ...
    async def start_agent(
        self, inputs: bytes = ..., workers: Sequence[UnifiedAgent] | None = ...
    ) -> None: ...
    async def broadcast_message(self, message: object) -> None: ...
    async def send_message(self, peer_id: str, message: object) -> None: ...
    async def on_message(self, agent: AgentDetail, data: bytes, time: int) -> None: ...
    async def on_agent_connected(self, topic: str, agent: AgentDetail) -> None: ...
    async def run(self, inputs: bytes) -> None: ...
