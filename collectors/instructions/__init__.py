"""The faulting instruction, decoded from the Code: line."""
