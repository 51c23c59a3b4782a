"""Asks a running service for a rerank with the client libraries that people have, unchanged, and compares their answers.

python3 clients.py http://127.0.0.1:8080
Needs any of: cohere, langchain-cohere, langchain-community, llama-index-postprocessor-tei-rerank,
llama-index-postprocessor-jinaai-rerank, huggingface-api-haystack, jina-haystack. Those that are not installed are left out.
"""
import importlib.metadata
import sys
import warnings

warnings.simplefilter("ignore")
BASE = sys.argv[1]
KEY = "not-looked-at-unless-the-service-has-keys"
QUERY = "Alien (1979)\nBlade Runner (1982)\nThe Terminator (1984)"
TITLES = ["Heat (1995)", "Aliens (1986)", "Toy Story (1995)", "The Matrix (1999)", "Pretty Woman (1990)"]
TOP = 3


def cohere_v1():
    import cohere

    answer = cohere.Client(api_key=KEY, base_url=BASE).rerank(model="any", query=QUERY, documents=TITLES, top_n=TOP, return_documents=True)
    return [(result.document.text, result.relevance_score) for result in answer.results]


def cohere_v2():
    import cohere

    answer = cohere.ClientV2(api_key=KEY, base_url=BASE).rerank(model="any", query=QUERY, documents=TITLES, top_n=TOP)
    return [(TITLES[result.index], result.relevance_score) for result in answer.results]


def langchain_cohere():
    import cohere
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    client = cohere.ClientV2(api_key=KEY, base_url=BASE)
    ranker = CohereRerank(client=client, model="any", top_n=TOP, cohere_api_key=KEY)
    documents = ranker.compress_documents([Document(page_content=title) for title in TITLES], QUERY)
    return [(document.page_content, document.metadata["relevance_score"]) for document in documents]


def langchain_community():
    from langchain_community.document_compressors import jina_rerank

    jina_rerank.JINA_API_URL = BASE + "/v1/rerank"  # which it has no parameter for
    results = jina_rerank.JinaRerank(jina_api_key=KEY, top_n=TOP).rerank(TITLES, QUERY)
    return [(TITLES[result["index"]], result["relevance_score"]) for result in results]


def llama_index(ranker):
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=title), score=0.0) for title in TITLES]
    return [(node.node.text, node.score) for node in ranker.postprocess_nodes(nodes, query_str=QUERY)]


def llama_index_postprocessor_tei_rerank():
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return llama_index(TextEmbeddingInference(base_url=BASE, top_n=TOP, model_name="any"))


def llama_index_postprocessor_jinaai_rerank():
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return llama_index(JinaRerank(api_key=KEY, top_n=TOP, base_url=BASE + "/v1"))


def haystack(ranker):
    from haystack.dataclasses import Document

    documents = ranker.run(query=QUERY, documents=[Document(content=title) for title in TITLES])["documents"]
    return [(document.content, document.score) for document in documents]


def huggingface_api_haystack():
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    return haystack(HuggingFaceTEIRanker(url=BASE, top_k=TOP, token=None))


def jina_haystack():
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    return haystack(JinaRanker(api_key=Secret.from_token(KEY), top_k=TOP, base_url=BASE + "/v1/rerank"))


def main():
    first, tried = None, 0
    for ask in (cohere_v1, cohere_v2, langchain_cohere, langchain_community, llama_index_postprocessor_tei_rerank,
                llama_index_postprocessor_jinaai_rerank, huggingface_api_haystack, jina_haystack):
        package = ask.__name__.removesuffix("_v1").removesuffix("_v2").replace("_", "-")
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{ask.__name__}: left out, {package} is not installed")
            continue
        answer = [(title, round(score, 5)) for title, score in ask()]
        tried, first = tried + 1, first or answer
        print(f"{ask.__name__} ({package} {version}): {answer}")
        if len(answer) != TOP or answer != first:
            sys.exit(f"{ask.__name__} got another answer than the first client: {first}")
    if not tried:
        sys.exit("no client library is installed")


main()
