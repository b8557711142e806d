"""What harness says to machines is a model: its fields are an interface, and programs can read it back."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Something said to a machine, or a part of it: it cannot be changed, and has no other fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
