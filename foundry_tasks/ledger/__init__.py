"""The ledger: all decisions about registered versions, and the state that follows from them."""
