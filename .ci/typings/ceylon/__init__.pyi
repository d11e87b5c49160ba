# What Muster uses of Ceylon 0.23.0, which ships no types.
from .base.support import on as on
from .base.support import on_connect as on_connect
from .base.support import on_run as on_run
from .base.uni_agent import BaseAgent as BaseAgent
from .ceylon.ceylon import AgentDetail as AgentDetail
from .ceylon.ceylon import PeerMode as PeerMode

DEFAULT_WORKSPACE_ID: str
