"""What of sumy 0.13 is used; see the library."""

from sumy.summarizers import AbstractSummarizer

class SumBasicSummarizer(AbstractSummarizer): ...
