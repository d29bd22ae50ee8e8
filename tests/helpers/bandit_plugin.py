"""A plugin that trains without a dataset: a policy for a multi-armed bandit, by REINFORCE (Williams 1992)."""

import torch
from torch.distributions import Categorical

import zoo_core as zoo

MEANS = torch.tensor([0.1, 0.5, 0.3, 0.9, 0.2])  # of the rewards of the arms


class Policy(zoo.Model):
    def __init__(self, config):
        super().__init__(config)
        self.preferences = torch.nn.Parameter(torch.zeros(len(MEANS)))

    def forward(self):
        return self.preferences.softmax(0)

    def predict(self):
        """The arm to pull."""
        return {"arm": self().argmax()}


class Reinforce(zoo.Trainer):
    class Config:
        learning_rate: float = zoo.setting(0.1, "learning rate of Adam", gt=0)
        pulls: int = zoo.setting(16, "pulls per step", ge=1)
        reads: str = zoo.setting("", "what to read from the batch, which has nothing")

    protocol = "Expected reward of the policy"
    supports_grad_accumulation = True

    def setup(self, model, engine):
        adam = torch.optim.Adam(model.parameters(), lr=self.config.learning_rate)
        self.engine = engine
        self.model, self.optimizer = engine.prepare(model, adam)
        self.baseline = torch.zeros((), device=engine.device)
        self.means = MEANS.to(engine.device)

    def step(self, batch):
        if self.config.reads:
            batch[self.config.reads]
        policy = Categorical(self.model())
        arms = policy.sample((self.config.pulls,))
        rewards = self.means[arms] + 0.1 * torch.randn(len(arms), device=arms.device)
        loss = -((rewards - self.baseline) * policy.log_prob(arms)).mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        self.baseline.lerp_(self.engine.sum(rewards.mean()) / self.engine.sum(torch.ones_like(self.baseline)), 0.1)
        return {"loss": loss.detach(), "reward": rewards.mean()}

    @torch.no_grad()
    def evaluate(self, batches, train_batches):
        assert not list(batches)
        assert not list(train_batches)
        return {"expected_reward": float(self.engine.unwrap(self.model)() @ self.means)}

    @torch.no_grad()
    def preview(self, batch):
        assert not batch
        heights = self.engine.unwrap(self.model)().mul(31).round()
        rows = torch.arange(31, -1, -1, device=heights.device)
        return (rows[:, None] <= heights).float().repeat_interleave(8, 1)[None, None]


@zoo.hookimpl
def zoo_register(registry):
    registry.model("bandit-policy", f"{__name__}:Policy", summary="Preferences for the arms of a bandit")
    registry.trainer(
        "reinforce", f"{__name__}:Reinforce", summary="Policy gradients with a baseline", paper="Williams 1992"
    )
    run = {"steps": 60, "log_every": 10, "checkpoint_every": 20, "evaluate_every": 20, "preview_every": 30}
    registry.recipe(
        "bandit",
        __file__,
        summary="A bandit with five arms",
        model={"name": "bandit-policy"},
        trainer={"name": "reinforce"},
        run=run,
    )
