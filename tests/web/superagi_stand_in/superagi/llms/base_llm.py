"""Stand-in for SuperAGI's module of this name; see README.md."""

from abc import ABC, abstractmethod


class BaseLlm(ABC):
    @abstractmethod
    def chat_completion(self, prompt): ...

    @abstractmethod
    def get_source(self): ...

    @abstractmethod
    def get_api_key(self): ...

    @abstractmethod
    def get_model(self): ...

    @abstractmethod
    def get_models(self): ...

    @abstractmethod
    def verify_access_key(self): ...
