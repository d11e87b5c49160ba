"""Which worker gets which task: policies, queues and the explanation of a decision."""
