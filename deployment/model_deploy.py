"""TF-Slim's `model_deploy`: clones of a model in a `tf.Graph`, on several devices and machines.

```python
config = model_deploy.DeploymentConfig(num_clones=2)
model = model_deploy.deploy(config, model_fn, optimizer=tf.compat.v1.train.AdamOptimizer(1e-3))
```

A loss function without a graph trains on several devices under a strategy, see
`deployment.strategies`.
"""

from deployment.config import DeploymentConfig
from deployment.graph_clones import (
    Clone,
    DeployedModel,
    create_clones,
    deploy,
    optimize_clones,
)

__all__ = [
    "Clone", "DeployedModel", "DeploymentConfig", "create_clones", "deploy", "optimize_clones",
]  # fmt: skip
