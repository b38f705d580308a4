"""The engine on a graphics card: what the processor's compiled code makes, in torch, by the batch."""
