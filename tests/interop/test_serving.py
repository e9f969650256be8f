"""What is exported predicts what the model does, on raw rows, without JAX."""

import collections
import importlib.util
import json
import subprocess
import sys

import jax
import numpy as np
import polars as pl
import pytest

from jaxbn.cli import main
from jaxbn.data import load_data, prepare, split_rows
from jaxbn.errors import UserError
from jaxbn.interop.serving import Served, to_numpy, to_onnx, to_safetensors
from jaxbn.nn import mlp
from jaxbn.nn.batch_norm import BatchNormState
from jaxbn.nn.types import ACTIVATIONS, Hyperparams, Variables
from jaxbn.search import from_values
from jaxbn.study.fitted import FittedModel

BUILTIN = ("digits", "breast_cancer", "wine", "iris", "diabetes", "mnist5k")

TABLE = "size,town,colour,kind\n" + "".join(
    f"{'' if row % 9 == 0 else row / 7},{('Ulm', 'Bonn', 'Kiel', '')[row % 4]},{'rare' if row == 5 else 'red'},"
    f"{('b', 'a')[row % 2]}\n"
    for row in range(80)
)
HOLES = "a,b,y\n" + "".join(f"{'' if row % 5 == 0 else 1e4 + row},{row % 7},{row % 3}\n" for row in range(90))
NUMBERS = "a,b,y\n" + "".join(f"{row % 11},{row % 7},{2e3 + 3.5 * (row % 11)}\n" for row in range(90))


def model_of(data, **values) -> FittedModel:
    """A model as training might have left it: every weight and statistic is some number."""
    dataset = data if not isinstance(data, str) else load_data(data)
    prepared = prepare(dataset, split_rows(dataset)[0])
    config = from_values(**{"hidden_units": 12, "num_layers": 2, "bn_epsilon": 1e-3, **values})
    spec = FittedModel.of(config, None, dataset, prepared).spec
    network = mlp(spec, num_inputs=prepared.train.x.shape[1], num_outputs=prepared.num_outputs)
    variables, rng = network.init(jax.random.key(1), Hyperparams()), np.random.default_rng(0)

    def moved(leaf):
        return np.asarray(leaf + 0.3 * rng.normal(size=leaf.shape), np.float32)

    stats = tuple(
        BatchNormState(moved(s.mean), np.float32(0.9) * (0.2 + moved(s.var) ** 2), np.float32(0.9))
        for s in variables.model_state
    )
    return FittedModel.of(config, Variables(jax.tree.map(moved, variables.params), stats), dataset, prepared)


def raw(data) -> np.ndarray:
    """Rows as a user has them."""
    table = (load_data(data) if isinstance(data, str) else data).features
    return table.numeric[:300]


def predictor_of(folder, model):
    for name, content in to_numpy(Served.of(model)).items():
        (folder / name).write_bytes(content)
    spec = importlib.util.spec_from_file_location("predictor", folder / "predictor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Predictor(str(folder / "model.npz"))


def onnx_outputs(model, rows) -> dict[str, np.ndarray]:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(Served.of(model)), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"rows": rows}), strict=True))


def check(model, rows, predictions, probabilities=None):
    expected = model.predict(rows)
    if model.task == "classification":
        chances = model.predict_proba(rows)
        np.testing.assert_allclose(probabilities, chances, rtol=0, atol=1e-5)
        top = np.sort(chances, axis=1)
        clear = top[:, -1] - top[:, -2] > 1e-4
        assert clear.mean() > 0.9
        assert np.asarray(predictions)[clear].tolist() == expected[clear].tolist()
    else:
        np.testing.assert_allclose(predictions, expected, rtol=1e-5, atol=1e-5 * np.max(model.target_scale.scale))


@pytest.mark.parametrize("data", BUILTIN)
def test_numpy_predicts_as_the_model_does(tmp_path, data):
    model, rows = model_of(data), raw(data)
    served = predictor_of(tmp_path, model)
    check(model, rows, served.predict(rows), served.predict_proba(rows) if model.classes else None)


@pytest.mark.parametrize("data", BUILTIN)
def test_onnx_predicts_as_the_model_does(data):
    model, rows = model_of(data), raw(data)
    found = onnx_outputs(model, rows)
    check(model, rows, found["prediction"], found.get("probabilities"))


@pytest.mark.parametrize("content", [HOLES, NUMBERS], ids=["holes", "numbers"])
@pytest.mark.parametrize(
    "values",
    [
        *({"activation": name} for name in ACTIVATIONS),
        {"normalization": "none"},
        {"num_layers": 0},
        {"num_layers": 3, "activation": "gelu"},
    ],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_every_kind_of_network(tmp_path, content, values):
    (tmp_path / "t.csv").write_text(content)
    dataset = load_data(tmp_path / "t.csv")
    model = model_of(dataset, **values)
    rows = np.concatenate([raw(dataset), [[np.nan, np.nan], [0.0, 1e30]]])
    served = predictor_of(tmp_path, model)
    check(model, rows, served.predict(rows), served.predict_proba(rows) if model.classes else None)
    found = onnx_outputs(model, rows)
    check(model, rows, found["prediction"], found.get("probabilities"))


def test_words_of_a_table(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    model = model_of(load_data(tmp_path / "t.csv"))
    served = predictor_of(tmp_path, model)
    records = [
        {"size": 3.0, "town": "Ulm", "colour": "red"},
        {"size": None, "town": None, "colour": "rare"},
        {"size": 1.5, "town": "nowhere", "colour": "nothing"},
        {"size": float("nan"), "town": "Kiel", "colour": None},
        {"size": "", "town": "", "colour": " red "},
        {"size": " 2.5 ", "town": "NA", "colour": "?"},
        {"size": "true", "town": " Ulm", "colour": "null"},
        {"size": "much", "town": np.str_("Bonn"), "colour": np.float32("nan")},
    ]
    as_rows = [list(record.values()) for record in records]
    with pytest.warns(UserWarning, match="holds text in 1 of 5 values, such as 'much'"):
        np.testing.assert_allclose(served.predict_proba(records), model.predict_proba(records), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(served.predict(as_rows), model.predict(records))
    with pytest.warns(UserWarning, match="holds text in 1 of 1 values, such as 'much'"):
        np.testing.assert_array_equal(served.predict(records[-1:]), model.predict(records[-1:]))
    for predict in (served.predict, model.predict):
        with pytest.raises(ValueError, match=r"'size' was numeric in training and holds .*text.*, such as '1,5'"):
            predict([{"size": word, "town": "Ulm", "colour": "red"} for word in ("1,5", "2,5")])
    with pytest.raises(ValueError, match="the rows lack colour"):
        served.predict([{"size": 3.0, "town": "Ulm", "color": "red"}])
    with pytest.raises(UserError, match="columns of text"):
        pytest.importorskip("onnx")
        to_onnx(Served.of(model))


def test_frames_are_rows_by_name(tmp_path):
    pd = pytest.importorskip("pandas")
    (tmp_path / "t.csv").write_text(TABLE)
    model = model_of(load_data(tmp_path / "t.csv"))
    served = predictor_of(tmp_path, model)
    frame = pl.read_csv(tmp_path / "t.csv").head(5)
    for rows in (frame, pd.DataFrame(frame.to_dict(as_series=False))):
        assert served.predict(rows).tolist() == list(model.predict(rows))
    with pytest.raises(ValueError, match=r"'t\.csv' is no list of rows"):
        served.predict("t.csv")


def test_several_numbers(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    dataset = load_data((x, np.stack([x.sum(1), 1e3 + 50 * x[:, 0]], axis=1)))
    model = model_of(dataset)
    served = predictor_of(tmp_path, model)
    assert served.predict(x).shape == (90, 2)
    check(model, x, served.predict(x))
    check(model, x, onnx_outputs(model, x)["prediction"])


@pytest.mark.parametrize("names", [("no", "yes"), (0, 1), (0.5, 1.5), (False, True)])
def test_classes_keep_their_type(tmp_path, names):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    dataset = load_data((x, np.array(names)[(x[:, 0] > 0).astype(int)]), task="classification")
    model = model_of(dataset)
    expected = model.predict(x)
    assert predictor_of(tmp_path, model).predict(x).tolist() == expected.tolist()
    assert onnx_outputs(model, x)["prediction"].tolist() == expected.tolist()


def test_the_predictor_needs_numpy_alone(tmp_path):
    model = model_of("iris")
    predictor_of(tmp_path, model)
    code = (
        "import sys; from predictor import Predictor; p = Predictor(); rows = [[5.1, 3.5, 1.4, 0.2]];"
        "print(p.predict(rows)[0], sorted(m for m in ('jax', 'jaxbn', 'scipy', 'sklearn') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(model.predict([[5.1, 3.5, 1.4, 0.2]])[0]), "[]"]


def test_rows_that_do_not_fit_are_refused(tmp_path):
    served = predictor_of(tmp_path, model_of("iris"))
    for rows in ([], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match=r"rows to predict|4 values"):
            served.predict(rows)


def test_what_is_no_list_of_rows_of_one_kind_is_refused(tmp_path):
    pd = pytest.importorskip("pandas")
    served = predictor_of(tmp_path, model_of("iris"))
    row = [5.1, 3.5, 1.4, 0.2]
    record = dict(zip(served.columns, row, strict=True))
    other = collections.UserDict(record)
    for rows in (
        *([row, record], [record, row], [row, other], [other, row]),
        *(row, tuple(row), np.array(row), pd.Series(row), pl.Series(row), record, other),
        {name: [value] for name, value in record.items()},
        *((one for one in [row]), None, 5.1, np.float64(5.1), pl.DataFrame([record]).lazy(), tmp_path / "t.csv"),
        *(["5.1,3"], [row, row[:3]], np.array([row])[..., None], [[[value] for value in row]]),
    ):
        with pytest.raises(ValueError, match=f"of type {type(rows).__name__}, .* of 4 values .*: give each row as a"):
            served.predict(rows)
    expected = served.predict([row]).tolist()
    for rows in (
        *([record], [other], (tuple(row),), [np.array(row)], np.array([row], np.float32), np.array([record])),
        *(jax.numpy.array([row]), collections.deque([row]), pd.DataFrame([record]), pl.DataFrame([record])),
    ):
        assert served.predict(rows).tolist() == expected


@pytest.mark.parametrize(
    "value",
    [np.inf, -np.inf, 1e300, -4e38, np.float32("inf"), 10**400, "1e300", "-inf"],
    ids=lambda value: f"{value}"[:8],
)
def test_what_is_infinite_in_float32_is_refused(tmp_path, value):
    model = model_of("iris")
    served = predictor_of(tmp_path, model)
    rows = [[5.1, 3.5, 1.4, 0.2], [5.1, 3.5, value, 0.2]]
    for predict in (served.predict, model.predict):
        with pytest.raises(
            ValueError, match=r"'petal length \(cm\)' holds .* in data row 2, which is infinite in float32"
        ):
            predict(rows)


def test_safetensors_hold_the_folded_layers():
    from safetensors.numpy import load

    model = model_of("wine")
    served = Served.of(model)
    content = to_safetensors(served)
    arrays = load(content)
    size = int.from_bytes(content[:8], "little")
    record = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["jaxbn"])
    assert record["classes"] == list(model.classes) and record["activation"] == "relu"
    x = model.inputs(raw("wine"))
    for number in range(3):
        x = x @ arrays[f"{number}.kernel"] + arrays[f"{number}.bias"]
        x = np.maximum(x, 0) if number < 2 else x
    np.testing.assert_allclose(x, model.outputs(model.inputs(raw("wine"))), rtol=0, atol=2e-5)


@pytest.mark.parametrize("format", ["onnx", "numpy", "safetensors"])
def test_the_command(tmp_path, capsys, format):
    if format == "onnx":
        pytest.importorskip("onnx")
    model_of("iris").save(tmp_path / "model")
    folder = str(tmp_path / "model")
    assert main(["export", folder, "--format", format]) == 0
    where = {"onnx": "model.onnx", "numpy": "numpy", "safetensors": "folded.safetensors"}[format]
    assert str(tmp_path / "model" / "exported" / where) in capsys.readouterr().out
    assert main(["export", folder, "--format", format]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["export", folder, "--format", format, "--overwrite"]) == 0
    assert main(["export", str(tmp_path), "--format", format]) == 2
    assert "neither a run nor a model" in capsys.readouterr().err


def test_onnx_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'jaxbn\[onnx\]'"):
        to_onnx(Served.of(model_of("iris")))
